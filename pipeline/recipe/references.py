"""A parsed recipe -> what is wrong with the names by which its sections speak of each other, and of the table of tiers.

Looks at the recipe as it is written and not at its validated sections, so that a mistake in one value hides none in a
name: `seeds: 2` is told together with `tier: t999`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import did_you_mean
from pipeline.core.files.reading.strict_yaml import Document, Place, dotted
from pipeline.recipe.research import ResearchSection
from pipeline.recipe.sections import SweepSection
from pipeline.recipe.spec import input_names_of

if TYPE_CHECKING:
    from pipeline.recipe.spec import DatasetSpec, SourceSpec


GUARDS = ("decontaminate", "paraphrases")  # steps whose names say what must stay unseen
HEAD = str(ResearchSection.model_fields["as_"].default)
PROPOSED = str(SweepSection.model_fields["as_"].default)


def note_wrong_references(
    document: Document, datasets: Mapping[str, DatasetSpec], sources: Mapping[str, SourceSpec | None]
) -> None:
    """Note names that nothing has, sections that lack another, and held-out sets that are trained on."""
    names = _Names(document, datasets, sources)
    names.note_mixtures()
    if document.data.get("sweep") is not None:
        names.note_sweep()
    names.note_trials()
    if document.data.get("research") is not None:
        names.note_research()
    if document.data.get("gate") is not None:
        names.note_gate()
    names.note_promote()
    names.note_seeds()


class _Names:
    """The names of one recipe, and notes on those that are wrong."""

    def __init__(
        self, document: Document, datasets: Mapping[str, DatasetSpec], sources: Mapping[str, SourceSpec | None]
    ) -> None:
        self.document, self.data = document, document.data
        self.datasets, self.sources = datasets, sources
        mixtures = _mapping(self.data, "mixtures")
        self.weights = {name: list(_mapping(body, "weights")) for name, body in mixtures.items()}

    def note_mixtures(self) -> None:
        """Note datasets that are not there, a tier of no table, and mixtures that nothing trains."""
        for name, listed in self.weights.items():
            for dataset in listed:
                self._known(dataset, _mapping(self.data, "datasets"), ("mixtures", name, "weights", dataset), "dataset")
        if self.weights and self.data.get("proxy") is None:
            message = "mixtures need a `proxy:` section, which says how large they are and how they are judged."
            self.document.mistake(("mixtures",), message)
        sampled = _mapping(self.data, "proxy").get("tokenizer_on")
        for index, name in enumerate(sampled if isinstance(sampled, list) else ()):
            self._known(name, _mapping(self.data, "datasets"), ("proxy", "tokenizer_on", index), "dataset")
        if "tier" in _mapping(self.data, "proxy"):
            from eval.proxies.tiers import TIERS

            self._known(self.data["proxy"]["tier"], TIERS, ("proxy", "tier"), "tier")
        if own := _mapping(_mapping(self.data, "proxy"), "of"):
            self._note_settings(own)

    def _note_settings(self, own: Mapping[str, Any]) -> None:
        """Note settings of single mixtures beside a difference in text, of which nothing could be told apart."""
        for name in own:
            self._known(name, self.weights, ("proxy", "of", name), "mixture")
        mixtures = _mapping(self.data, "mixtures")
        first = next(iter(mixtures), "")
        for name, body in mixtures.items():
            if body != mixtures[first]:
                self.document.mistake(
                    ("proxy", "of"),
                    f"proxy.of: `{first}` and `{name}` differ in text, and proxies that are trained in different ways "
                    "cannot judge it. Compare settings on one mixture, or mixtures with one set of settings.",
                )
        for key in ("sweep", "research", "promote"):
            if self.data.get(key) is not None:
                self.document.mistake(
                    (key,), f"{key}: is of mixtures, and `proxy.of` compares settings of proxies. Take one of them out."
                )

    def note_sweep(self) -> None:
        """Note a search around nothing, on what it may not see, or under limits of what is not in its mixture."""
        sweep, mistake = _mapping(self.data, "sweep"), self.document.mistake
        if "around" in sweep:
            self._known(sweep["around"], self.weights, ("sweep", "around"), "mixture")
        name = sweep.get("as", PROPOSED)
        if name in self.weights:
            mistake(("sweep", "as"), f"sweep.as: `{name}` is a mixture already; what is found needs a name of its own.")
        self._note_held_out(list(_mapping(sweep, "on")), section="sweep")
        self._note_judged_by_the_searched(list(_mapping(sweep, "on")), section="sweep")
        searched = self.weights.get(str(sweep.get("around")), [])
        if len(searched) == 1:
            mistake(
                ("sweep", "around"),
                f"sweep.around: `{sweep['around']}` has one dataset; a search needs two or more. Name another mixture.",
            )
        for key in ("least", "most"):
            for dataset in _mapping(sweep, key) if searched else ():
                self._known(dataset, searched, ("sweep", key, dataset), "dataset of the mixture")

    def note_trials(self) -> None:
        """Note trials of mixtures that are not there, or on what is trained on."""
        trials = _mapping(self.data, "trials")
        for name in _mapping(trials, "seeds"):
            self._known(name, self.weights, ("trials", "seeds", name), "mixture")
        on = trials.get("on")
        self._note_held_out(on if isinstance(on, list) else [], section="trials")

    def note_research(self) -> None:
        """Note research on an incumbent that is not there, on what judges it, or without a gate for its claim."""
        research, mistake = _mapping(self.data, "research"), self.document.mistake
        incumbent, gate = research.get("incumbent"), _mapping(self.data, "gate")
        if incumbent is not None:
            self._known(incumbent, self.weights, ("research", "incumbent"), "mixture")
        name = research.get("as", HEAD)
        if name in self.weights:
            mistake(("research", "as"), f"research.as: `{name}` is a mixture already; give what is found another name.")
        self._note_held_out(list(_mapping(research, "on")), section="research")
        self._note_judged_by_the_searched(list(_mapping(research, "on")), section="research")
        if not gate or gate.get("verdict") is False:
            mistake(("research",), "research: needs a `gate:` with a verdict, by which its claim is judged. Add one.")
        elif (gate.get("candidate"), gate.get("baseline")) != (name, incumbent):
            mistake(
                ("gate",),
                f"gate: judges {gate.get('candidate')} against {gate.get('baseline')}; with `research:` it must judge "
                f"`candidate: {name}` (research.as) against `baseline: {incumbent}` (research.incumbent).",
            )
        space = _mapping(_mapping(research, "space"), "set")
        if self.data.get("promote") is not None and any(str(place).startswith("proxy.") for place in space):
            mistake(("promote",), "promote: registers text, and this search is for settings of proxies. Take it out.")
        if self.data.get("sweep") is not None:
            mistake(("research",), "research: and `sweep:` both look for a candidate; take one of the two out.")
        weights = _mapping(_mapping(research, "space"), "weights")
        for key in ("least", "most"):
            for dataset in _mapping(weights, key):
                listed = self.weights.get(str(incumbent), [])
                place = ("research", "space", "weights", key, dataset)
                self._known(dataset, listed, place, "dataset of the incumbent")

    def _note_judged_by_the_searched(self, on: list[Any], *, section: str) -> None:
        gate = _mapping(self.data, "gate")
        judged = [str(dataset) for dataset in gate["on"]] if isinstance(gate.get("on"), list) else []
        sealed = gate.get("sealed") and gate.get("verdict") is not False  # without a verdict nothing sealed is opened
        for dataset in on:
            others = [other for other in judged if other != dataset]
            if dataset in judged and not sealed:
                self.document.mistake(
                    (section, "on", dataset),
                    f"{section}.on: `{dataset}` also stands in gate.on; what a search looked at cannot judge what it "
                    "found. Seal a part of it for the gate (`gate.sealed: 0.5`), or hold out another set for one.",
                )
            elif shared := [other for other in others if self._leaks(other, dataset) and self._leaks(dataset, other)]:
                self.document.mistake(
                    (section, "on", dataset),
                    f"{section}.on: `{dataset}` and `{shared[0]}` of gate.on have documents of one source or file; "
                    "what a search looked at cannot judge what it found. Hold out another source, or "
                    f"`decontaminate: {{against: [{dataset}]}}` in `{shared[0]}`.",
                )

    def note_gate(self) -> None:
        """Note mixtures, held-out sets and guards of the gate that are not there."""
        gate = _mapping(self.data, "gate")
        searches = (("sweep", PROPOSED), ("research", HEAD))
        found = [
            str(_mapping(self.data, key).get("as", name)) for key, name in searches if self.data.get(key) is not None
        ]
        for role in ("candidate", "baseline"):
            if role in gate:
                self._known(gate[role], [*self.weights, *found], ("gate", role), "mixture")
        on = gate["on"] if isinstance(gate.get("on"), list) else []
        self._note_held_out(on, section="gate")
        for domain in _mapping(gate, "guards"):
            self._known(domain, [str(name) for name in on], ("gate", "guards", domain), "held-out set")

    def note_promote(self) -> None:
        """Note a promotion without the verdict that it needs."""
        if self.data.get("promote") is None:
            return
        if _mapping(self.data, "gate").get("verdict") is False:
            message = "`promote:` needs a verdict, and gate.verdict is false; take one of the two out."
            self.document.mistake(("promote",), message)
        elif self.data.get("gate") is None:
            message = "`promote:` needs a `gate:` section; nothing is promoted without evidence."
            self.document.mistake(("promote",), message)

    def note_seeds(self) -> None:
        """Note documents that a model is to write from, and that were not held against what must stay unseen."""
        from pipeline.recipe.leaks import open_seeds

        sections = [_mapping(self.data, key) for key in ("gate", "sweep", "trials", "research")]
        held_out = [str(name) for section in sections for name in section.get("on") or ()]
        guards = [step for spec in self.datasets.values() for step in spec.steps if step.step.name in GUARDS]
        asked = [name for step in guards for names in input_names_of(step.step.params).values() for name in names]
        for wanted in dict.fromkeys([*held_out, *asked]):
            for name, seeds in open_seeds(self.datasets, wanted):
                if name in held_out:
                    continue
                self.document.mistake(
                    ("datasets", name, "make"),
                    f"datasets.{name}.make: is written from `{seeds}`, of which no step looked for `{wanted}`; what a "
                    "model retells, no later step finds for certain. Write from a dataset with "
                    f"`decontaminate: {{against: [{wanted}]}}`.",
                )

    def _note_held_out(self, on: list[Any], *, section: str) -> None:
        for index, dataset in enumerate(on):
            place = (section, "on", index if section in ("gate", "trials") else str(dataset))
            self._known(dataset, _mapping(self.data, "datasets"), place, "dataset")
            for name, listed in self.weights.items():
                if dataset in listed:
                    self.document.mistake(
                        place,
                        f"{section}.on: `{dataset}` is also trained on, by mixture `{name}`; a held-out set must be "
                        "held out.",
                    )
                elif shared := [each for each in listed if self._leaks(each, str(dataset))]:
                    self.document.mistake(
                        place,
                        f"{section}.on: `{dataset}` and `{shared[0]}` of mixture `{name}` have documents of one "
                        "source or file. Hold out another source, "
                        f"or `decontaminate: {{against: [{dataset}]}}` in `{shared[0]}`.",
                    )

    def _leaks(self, trained: str, held_out: str) -> bool:
        from pipeline.recipe.leaks import leaks

        return leaks(self.datasets, self.sources, trained, held_out)

    def _known(self, name: Any, names: Collection[str], place: Place, kind: str) -> None:
        if isinstance(name, str) and name not in names:
            self.document.mistake(place, f"{dotted(place)}: unknown {kind} `{name}`.{did_you_mean(name, names)}")


def _mapping(body: Any, key: str) -> dict[str, Any]:
    """Return the mapping under a key; an empty one where something else stands, which is told by whoever reads it."""
    found = body.get(key) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
