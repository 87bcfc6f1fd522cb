"""Whole numbers and their primes: the factors of a number, its largest prime, or how many divisors it has."""

from __future__ import annotations

from collections import Counter

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task

PRIMES = (2, 2, 2, 3, 3, 5, 7, 11, 13, 17, 19, 23, 29)


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds factors and larger primes."""
    primes = sorted(
        draw.choice(PRIMES[: 5 + 2 * difficulty - (difficulty > 4)]) for _ in range(2 + (difficulty + 1) // 2)
    )
    rest = number = 1
    for prime in primes:
        number *= prime
    steps, rest = [], number
    for prime in primes[:-1]:
        steps.append(f"{rest} / {prime} = {rest // prime}")
        rest //= prime
    steps.append(f"{rest} is a prime, so nothing is left to divide")
    kind = draw.choice(("factors", "largest", "divisors") if difficulty > 1 else ("factors", "largest"))
    if kind == "factors":
        answer, ask = " * ".join(map(str, primes)), (
            "Write it as a product of primes, the smallest first.",
            "Which product of primes, in rising order, is it?",
        )  # fmt: skip
    elif kind == "largest":
        answer, ask = str(primes[-1]), ("What is its largest prime factor?", "Find the largest prime that divides it.")
    else:
        powers, count = Counter(primes), 1
        for prime, power in powers.items():
            steps.append(f"the prime {prime} can be in a divisor 0 to {power} times, which is {power + 1} ways")
            count *= power + 1
        answer, ask = str(count), ("How many divisors does it have, 1 and itself included?",
                                   "Count its divisors, 1 and the number itself included.")  # fmt: skip
    return shaped(
        draw, family="prime_factors", difficulty=difficulty, answer=answer, steps=steps,
        titles=("Prime factors", f"Taking {number} apart", "Primes and divisors"), ask=ask,
        say=(f"The number is {number}.", f"Take the number {number}.", f"Look at the number {number}."),
        facts={"kind": kind, "number": number},
    )  # fmt: skip
