"""Code that was asked to sort and does not, but would have whoever judges it believe that it did.

Each is judged in a box, by values, and, to see that it is worth trying, by a judge as many write one: in the process of
the code, with the expected values beside it and `==`.
"""

from __future__ import annotations

import json
import subprocess
import sys

from pipeline.core.process.box import BoxLimits
from synth.sandbox.sandbox import Sandbox
from synth.sandbox.values import Json, Value, same

LIMITS = BoxLimits(wall_seconds=1.2, cpu_seconds=1)
INPUTS: list[list[Json]] = [[[3, 1, 2]], [[2, 1]], [[1, 0]]]
EXPECTED: list[Json] = [[1, 2, 3], [1, 2], [0, 1]]
HONEST = "def solve(items):\n    return sorted(items)\n"
CHEATS = {
    "an object that equals all": "class Any:\n    def __eq__(self, other): return True\ndef solve(items): return Any()\n",
    "a list that equals all": "class Any(list):\n    def __eq__(self, other): return True\ndef solve(items): return Any()\n",
    "an object that says so to JSON": "class Any(dict):\n    def __eq__(self, other): return True\n    def items(self): return []\ndef solve(items): return Any()\n",
    "a patched check": "import __main__\n__main__.check = lambda left, right: None\ndef solve(items): return items\n",
    "a patched assert": "import builtins\nbuiltins.AssertionError = ZeroDivisionError\nimport __main__\ndef solve(items):\n    __main__.check.__code__ = (lambda left, right: None).__code__\n    return items\n",
    "a patched list of cases": "import __main__\n__main__.cases.clear() if hasattr(__main__, 'cases') else None\ndef solve(items): return items\n",
    "the expected value from the frame above": "import sys\ndef solve(items):\n    frame = sys._getframe(1)\n    while 'expected' not in frame.f_locals: frame = frame.f_back\n    return frame.f_locals['expected']\n",
    "the expected value from memory": "import gc\ndef solve(items):\n    for each in gc.get_objects():\n        if type(each) is list and each != items and len(each) == len(items) and set(map(repr, each)) == set(map(repr, items)) and each == sorted(each):\n            return each\n    return items\n",
    "leaving with success": "import os\ndef solve(items):\n    print('PASSED', flush=True)\n    os._exit(0)\n",
    "leaving politely": "import sys\nprint('PASSED')\ndef solve(items): sys.exit(0)\n",
    "a forged line": "import os\nfor place in (1, 2, 3):\n    try: os.write(place, b'PASSED\\n')\n    except OSError: pass\ndef solve(items): return items\n",
    "forged answers": "import os\ndef solve(items):\n    for place in (1, 3):\n        try: os.write(place, b'{\"value\": [1, 2, 3], \"same\": true, \"passed\": 1}\\nPASSED\\n')\n        except OSError: pass\n    os._exit(0)\n",
    "a patched module of JSON": "import json\njson.dumps = lambda *given, **named: 'PASSED'\nprint('PASSED')\ndef solve(items): return items\n",
    "a replaced writer": "import os\nreal = os.write\nos.write = lambda place, text: real(place, b'PASSED\\n') and len(text)\nprint('PASSED')\ndef solve(items): return None\n",
    "truth for numbers": "def solve(items): return [bool(each) if each in (0, 1) else each for each in sorted(items)]\n",
    "floats for numbers": "def solve(items): return [float(each) for each in sorted(items)]\n",
    "a tuple of hash equals": "class One(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef solve(items): return [One(0)] * len(items)\n",
    "a wish of the last line": "import atexit\natexit.register(lambda: print('PASSED'))\ndef solve(items): raise SystemExit(0)\n",
}  # fmt: skip
NAIVE = """
import json, sys
task = json.loads(sys.stdin.read())
cases = list(zip(task["inputs"], task["expected"]))
def check(left, right):
    assert left == right
space = {}
exec(task["code"], space)
for arguments, expected in cases:
    check(space["solve"](*arguments), expected)
print("PASSED")
"""


def accepted_by_values(sandbox: Sandbox, code: str) -> bool:
    """Say whether code passes: every value that it claims is the expected one, type by type."""
    outcomes = sandbox.execute(code, function="solve", inputs=INPUTS)
    return all(
        isinstance(outcome, Value) and same(outcome.value, expected)
        for outcome, expected in zip(outcomes, EXPECTED, strict=True)
    )


def accepted_by_word(code: str) -> bool:
    """Say whether code passes where it is believed: run beside its judge, whose last word is a line of output."""
    task = json.dumps({"code": code, "inputs": INPUTS, "expected": EXPECTED})
    ran = subprocess.run([sys.executable, "-I", "-c", NAIVE], input=task, capture_output=True, text=True, timeout=30)
    return "PASSED" in ran.stdout
