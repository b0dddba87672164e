"""`scoring score`: one question to a model, by its name in the cluster or by its URL."""

import asyncio
import time
from typing import Any, TypeGuard

import click

from scoring_cli.asking import Address, ask_options, open_endpoint
from scoring_cli.endpoint import Endpoint, Payload, read_answer
from scoring_cli.options import output_option
from scoring_cli.output import print_document, print_table, tell
from scoring_cli.payloads import Given, read_payload

BAR_CHARACTERS = 30
TRIPLE = 3


@click.command("score")
@ask_options
@output_option
def command(address: Address, given: Given, form: str) -> None:
    """Ask the model NAME, or the one at --url.

    \b
    scoring score faq --text "How do I copy an array?"
    scoring score resnet152 --image photograph.jpg
    scoring score wine --json rows.json --output json
    """
    payload = read_payload(given)
    endpoint = open_endpoint(address)
    tell(f"asked {endpoint.way}")
    body, seconds = asyncio.run(ask_once(endpoint, payload))
    if form != "table":
        print_document(body, form)
        return
    show(body["result"][0])
    tell(f"{body['result'][1]}; {seconds * 1000:.0f} ms in all")


async def ask_once(endpoint: Endpoint, payload: Payload) -> tuple[Any, float]:
    """Return the body of the answer, and the seconds that it took."""
    async with endpoint:
        started = time.perf_counter()
        answer = await endpoint.ask(payload)
        return read_answer(answer), time.perf_counter() - started


def show(answer: object) -> None:
    """Print an answer by its shape: matches of a FAQ, labels of images, or rows."""
    if isinstance(answer, list) and answer and all(isinstance(one, list) and len(one) == TRIPLE for one in answer):
        print_table(("id", "answer", "probability"), [(one[0], one[1], write_bar(one[2])) for one in answer])
    elif is_labelled(answer):
        rows = [(name, label, write_bar(value)) for name, labels in answer.items() for label, value in labels]
        print_table(("image", "label", "probability"), rows)
    else:
        print_document(answer, "json")


def is_labelled(answer: object) -> TypeGuard[dict[str, list[list[Any]]]]:
    """Tell whether an answer is that of an image classifier: labels with probabilities for each image."""
    return isinstance(answer, dict) and all(
        isinstance(labels, list) and all(isinstance(one, list) and len(one) == TRIPLE - 1 for one in labels)
        for labels in answer.values()
    )


def write_bar(share: object) -> str:
    """Return a probability as number and bar; anything else as it is."""
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        return str(share)
    return f"{share:.3f} {'█' * round(share * BAR_CHARACTERS)}"
