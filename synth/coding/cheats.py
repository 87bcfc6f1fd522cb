"""Code that solves nothing and would have whoever judges it believe that it does: what every exercise must refuse.

Verifiers were caught accepting each of these: a constant, a table of the examples, an object that equals everything, a
patched assertion, an early exit, a forged answer, expected values found in memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from synth.coding.problem import Case

PLAIN = {
    "nothing": "def {name}(*given):\n    return None\n",
    "its argument": "def {name}(*given):\n    return given[0]\n",
    "a constant": "import json as _json\ndef {name}(*given):\n    return _json.loads({usual!r})\n",
}
TRICKS = {
    "an object that equals all": (
        "class _Same:\n    def __eq__(self, other): return True\n    __hash__ = object.__hash__\n"
        "def {name}(*given): return _Same()\n"
    ),
    "a list that equals all": (
        "class _Same(list):\n    def __eq__(self, other): return True\n    def __len__(self): return 1\n"
        "def {name}(*given): return _Same()\n"
    ),
    "a patched assertion": (
        "import builtins, __main__\nbuiltins.AssertionError = ZeroDivisionError\n"
        "__main__.check = __main__.same = lambda *given: True\ndef {name}(*given): return given[0]\n"
    ),
    "a patched library": (
        "import json, operator\njson.dumps = lambda *given, **named: 'true'\noperator.eq = lambda *given: True\n"
        "def {name}(*given): return None\n"
    ),
    "leaving in peace": "import os as _os\ndef {name}(*given):\n    print('PASSED', flush=True)\n    _os._exit(0)\n",
    "a forged answer": (
        "import os as _os\ndef {name}(*given):\n    for place in (1, 2, 3):\n        try: _os.write(place, "
        "b'{{\"value\": ' + "
        "{usual!r}.encode() + b'}}\\n')\n        except OSError: pass\n    _os._exit(0)\n"
    ),
    "what lies in memory": (
        "import gc as _gc, sys as _sys\ndef {name}(*given):\n    frame = _sys._getframe(1)\n    while frame:\n"
        "        for word in ('expected', 'returns', 'tests', 'answer'):\n"
        "            if word in frame.f_locals: return frame.f_locals[word]\n        frame = frame.f_back\n"
        "    return [each for each in _gc.get_objects() if type(each) is dict and 'returns' in each]\n"
    ),
}  # fmt: skip


def cheats_of(function: str, tests: Sequence[Case]) -> dict[str, str]:
    """Return name -> code of the cheats that know an exercise's name and its usual result.

    What they use has names that begin with _, as no function of an exercise does: else one named `json` would break
    them, and they would seem to be refused.
    """
    usual = json.dumps(usual_result(tests))
    return {
        name: code.format(name=function, usual=usual) for name, code in (PLAIN | TRICKS).items()
    }  # fmt: skip


def table_of(function: str, tests: Sequence[Case], *, usual: str) -> str:
    """Return code that looks up the tests that it knows, and else gives the usual result, as JSON."""
    known = {json.dumps(test.arguments, sort_keys=True): test.returns for test in tests}
    return (
        f"import json as _json\n_TABLE = _json.loads({json.dumps(known)!r})\ndef {function}(*given):\n"
        f"    return _TABLE.get(_json.dumps(list(given), sort_keys=True), _json.loads({usual!r}))\n"
    )


def usual_result(tests: Sequence[Case]) -> object:
    """Return the result that most tests have."""
    found = Counter(json.dumps(test.returns, sort_keys=True) for test in tests)
    return json.loads(found.most_common(1)[0][0])
