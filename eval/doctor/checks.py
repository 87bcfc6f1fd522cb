"""The table of checks: what each asks, how much it weighs, where its limit comes from, what it means, what to do.

Limits that are marked as ours lie between what sound lanes show and planted faults do (`eval/LOG.md`); the others are
of the field, with their source.
"""

from __future__ import annotations

from collections.abc import Mapping

from eval.doctor.findings import Check

OURS = "between sound lanes and planted faults, eval/LOG.md"

_TABLE = (
    # a lane's loss
    Check(
        "diverged", "fault", "Is every loss and gradient finite?", "arithmetic",
        "From this step on the proxy is frozen, so its scores say nothing of its mixture.",
        "Lower proxy.learning_rates; where it broke at once look at the precision: half precision ends at 65,504.",
    ),
    Check(
        "start", "fault", "Does the loss start at the logarithm of the vocabulary?", "arithmetic: 0.05 nats",
        "A fresh proxy holds every token for equally likely; this one did not begin fresh, or counts its loss wrongly.",
        "Remove its checkpoint and train it again; compare the vocabulary with the tokenizer's.",
    ),
    Check(
        "spikes", "fault", "Does the loss jump above the mean plus six deviations of the 128 steps before?",
        "OLMo-core's stability monitor; at most 0.1 % of the steps",
        "Training was unstable there, and what it lost depends on luck more than on the mixture.",
        "Train again at a lower learning rate; if the same step jumps there too, look at its rows.",
    ),
    Check(
        "end", "fault", "Does the loss rise at the end?", OURS,
        "The last steps have the lowest rates and should only settle; this proxy ended worse than it had been.",
        "Look at the rows of the last steps, then train it again.",
    ),
    Check(
        "plateau", "doubt", "Does the loss still fall in the second half?", OURS,
        "It stopped learning, so more of any mixture would not have shown.",
        "Raise the learning rate, or train on fewer tokens: the text may say no more.",
    ),
    Check(
        "counting", "fault", "Does it predict better than the frequency of tokens does?", "arithmetic",
        "It learnt how often tokens come and nothing of what they follow: inputs and targets do not belong together.",
        "Check how rows become inputs and targets, and the order of what is read.",
    ),
    Check(
        "future", "fault", "Do predictions leave alone what is to come?", "arithmetic: 0.001 nats",
        "It sees the tokens that it is to predict, so its loss measures copying.",
        "Repair the mask of the attention and train all proxies again.",
    ),
    # what must be so
    Check(
        "rate", "fault", "Was the first update as large as the learning rate says?",
        "Adam's first step is its rate: 0.8 to 1.25 times",
        "It trained at another rate than its name says, so it is not what the comparison takes it for.",
        "Compare the rate of the lane with the recipe's; an epsilon or a decay that is too large shows here too.",
    ),
    Check(
        "frozen", "fault", "Did every matrix move?", "TrainCheck 2506.14813: an invariant; at most 1 % of a group",
        "A part of the proxy never learnt, so it is a smaller model than the others.",
        "Look for parameters that the optimiser does not hold, and train it again.",
    ),
    Check(
        "dead_gradient", "fault", "Does a gradient reach every matrix?", "TrainCheck 2506.14813: an invariant",
        "Nothing tells these weights what to become.",
        "Look at what stands between them and the loss: saturated units, a detached tensor, an overflow.",
    ),
    Check(
        "decay", "fault", "Does nothing move without a gradient?", "arithmetic: this optimiser decays nothing",
        "Something other than the loss changes weights, such as a decay where none is meant.",
        "Take embeddings, norms and the like out of the decay.",
    ),
    Check(
        "tokens", "fault", "Were as many tokens trained on as were planned?", "at most 2 % fewer",
        "It had less to learn from than its rivals.",
        "Look for padding and for a stream that ended early; train it again.",
    ),
    Check(
        "schedule", "fault", "Was the whole schedule done?", "Marin's rule: arms at unequal fractions are void",
        "Its rate had not come down as far as the others', which costs more than most mixtures gain.",
        "Let it train to its end, or compare all at the same fraction.",
    ),
    Check(
        "shares", "fault", "Did every dataset give its share of what was read?", "at most 1 % off, or a row and a half",
        "It was trained on another mixture than the one that is judged.",
        "Draw its rows again and train it again.",
    ),
    Check(
        "reads", "fault", "Was no row read more often than another by more than one?",
        "arithmetic: rows are drawn without repeats",
        "Some text was repeated and other text left out, which looks like a better or worse mixture.",
        "Look for a shard that is read twice or a draw that does not follow its seed.",
    ),
    # how it was set
    Check(
        "update", "doubt", "Is an update neither too large nor too small for what it changes?", OURS,
        "Weights that turn over in a few steps, or hardly move, learn little that lasts.",
        "Change the learning rate of this tier by the factor that is told.",
    ),
    Check(
        "epsilon", "fault", "Are gradients well above Adam's epsilon?", "2309.14322: ten times epsilon",
        "Where epsilon rules, Adam takes steps as small as the gradient, and rare tokens hardly learn.",
        "Make epsilon smaller, below a tenth of the gradient's root mean square.",
    ),
    Check(
        "logits", "doubt", "Do logits stay clear of their cap?", "four times the cap: 97 % of it, " + OURS,
        "At its cap a logit has no gradient, and its growth tells of a rate that is too high.",
        "Lower the learning rate of the head.",
    ),
    Check(
        "silent_units", "doubt", "Do the units of the middle layers answer to some token?",
        "at most 10 %, our estimate",
        "Units that are never on make the proxy smaller than it is.",
        "Lower the learning rate of the matrices, or their start.",
    ),
    Check(
        "batch", "advice", "Is the batch near the critical one?", "McCandlish 1812.06162: B_simple, up to three times",
        "Far above it tokens are wasted; the same loss could be had from fewer.",
        "Halve the batch of this tier and compare.",
    ),
    Check(
        "rate_edge", "advice", "Does the best learning rate lie between others?",
        "2309.14322: learning rate sensitivity",
        "The best rate may lie outside, and mixtures may change places there.",
        "Add a rate on the other side to proxy.learning_rates.",
    ),
    # of several lanes
    Check(
        "seeds", "fault", "Do seeds differ?", "arithmetic",
        "The same training counted twice makes chance look smaller than it is.",
        "Give every lane a seed of its own.",
    ),
    Check(
        "pairs", "fault", "Do the lanes of a pair begin alike and read shared datasets in one order?", "arithmetic",
        "Pairs cancel the luck of start and order; these do not, and the interval is too narrow.",
        "Train both with the same seed and the same draw.",
    ),
    Check(
        "unequal", "fault", "Did all lanes train alike?", "Marin's rule: arms at unequal fractions are void",
        "They differ by more than their mixture.",
        "Train those that differ again.",
    ),
    Check(
        "swapped", "fault", "Did every lane read the mixture whose name it bears?",
        "arithmetic: identity of what is drawn",
        "Its score is counted for a mixture that it was not trained on.",
        "Train it again; if names were changed by hand, change them back.",
    ),
    Check(
        "outlier", "doubt", "Is no lane far from those that differ by seed alone?",
        "PolyPythias: run outliers again; Student's t of each against the others, by chance in one group of 1,000",
        "One lane of a few decides a mean.",
        "Train another seed beside it and look at this one's losses.",
    ),
    # of text
    Check(
        "tokenizer", "fault", "Is everything encoded by one tokenizer?", "arithmetic: one identity",
        "Bits and tokens of different vocabularies are not the same thing.",
        "Run the recipe again, so that one tokenizer encodes all.",
    ),
    Check(
        "sample", "advice", "Did the tokenizer learn from these datasets?", "arithmetic: identities in its sample",
        "Text that it has not seen falls into more tokens, so a proxy reads less of it.",
        "Train the tokenizer on what is mixed now, unless it is frozen on purpose.",
    ),
    Check(
        "unread", "doubt", "Is most of the vocabulary met?", OURS,
        "Words of the vocabulary that never come are those of another text: the tokenizer is stale.",
        "Train the tokenizer on what is mixed now.",
    ),
    Check(
        "truncated", "fault", "Do tokens stand for all bytes of the documents?",
        "arithmetic: the tokenizer loses nothing; at most 2 %",
        "Ends of documents are missing, so long documents count for less than their mixture says.",
        "Encode the dataset again without a limit.",
    ),
    Check(
        "leak", "fault", "Is held-out text kept out of what is trained on?",
        "at most 1 % of the documents, 32 tokens word for word",
        "Who has read the answers is not better, and gains on these documents mean nothing.",
        "decontaminate: {against: [HELD OUT]} in the dataset, and train again.",
    ),
    Check(
        "epochs", "doubt", "Is text repeated at most four times?",
        "2305.16264: up to four epochs are nearly as good as new text",
        "Beyond that a repeat teaches less and less, and in small proxies shows less than in large ones.",
        "Lower the dataset's weight or max_epochs, or add text.",
    ),
    Check(
        "by_heart", "doubt", "Is text that was read predicted like its unread twin?",
        "four standard errors and 0.1 bits",
        "It knows what it read by heart: repetition shows in its loss and not in what it can do.",
        "Repeat less; look at duplicates within the dataset.",
    ),
    Check(
        "duplicates", "advice", "Are documents different from each other?", "at most 10 % of the tokens, our estimate",
        "Copies are read again and again, whatever max_epochs says.",
        "exact_dedup and minhash_dedup in the dataset.",
    ),
    # of the machine
    Check(
        "loader", "doubt", "Do steps wait for rows?", "OLMo-core logs it; 3 % and a millisecond a step, our estimate",
        "The machine is paid for waiting; where time is the budget, waiting looks like a worse mixture.",
        "Put the workspace on a faster disk, or look who else reads from it.",
    ),
    Check(
        "mfu", "advice", "Is the card used as well as at this size it can be?",
        "our estimate by a survey of small models, less a quarter",
        "Lanes could be cheaper.",
        "Train more lanes in one stack, and profile a step.",
    ),
    Check(
        "said", "fault", "Was nothing wrong when it was trained?", "eval/proxies/health.py",
        "The lane was found unsound by what was known right after its training, and its pair is left out.",
        "Read the sentence; train the lane again once its cause is known.",
    ),
)  # fmt: skip

CHECKS: Mapping[str, Check] = {check.id: check for check in _TABLE}
