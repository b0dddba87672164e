"""The demo: from nothing to a FAQ model that answers on a cluster. `python -m samples.demo`, or `make demo`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from local_cluster.commands import run
from local_cluster.errors import LocalClusterError
from local_cluster.steps import step
from samples.client.manifests import APP
from samples.demo.app import USER, App, deploy_app, find_service
from samples.demo.clusters import ROOT, Choice, Cluster, DemoError, find_prometheus, open_cluster
from samples.demo.install import install_operator
from samples.demo.questions import QUESTIONS, ask, forward_service, show_matches
from samples.demo.volumes import close_volume, copy_artifact, open_volume

NAMESPACE = "scoring-demo"
ARTIFACT = "faq/javascript-faq.tar"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
# Not narrower than the FAQs' titles when the output is not a terminal.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
On = Annotated[
    Choice, typer.Option("--cluster", help="local: made on this machine; kind; current: what kubectl points to.")
]


@app.command()
def demo(
    cluster: On = Choice.LOCAL,
    output: Path = ROOT / "build" / "faq",
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Start Prometheus too, with our alerts.")] = False,
    app: Annotated[
        bool, typer.Option("--app", help="Also deploy the sample app, to be looked at in a browser.")
    ] = False,
) -> None:
    """Serve the JavaScript FAQ on a cluster, ask it three questions, and scale it."""
    if prometheus and cluster is not Choice.LOCAL:
        raise DemoError("--prometheus is for the project's own cluster (CLUSTER=local); other clusters have their own.")
    target = open_cluster(cluster, ["prometheus"] if prometheus else [])
    images = install_operator(target, ["sklearn"])
    package = train_faq(output)
    apply_faq(target, package, images["runtime-sklearn"])
    ask_questions(target, Path(package["answers"]))
    show_models(target)
    scale_faq(target)
    password = show_app(target, Path(package["answers"])) if app else None
    tell_more(target, password)
    if prometheus:
        show_prometheus()


@app.command()
def install(
    cluster: On = Choice.LOCAL,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="Model formats to bring images for; both by default.")
    ] = None,
) -> None:
    """Install the operator of this checkout on a cluster, with its runtime images; prints their references as JSON."""
    typer.echo(json.dumps(install_operator(open_cluster(cluster), formats or ["sklearn", "torch"])))


def train_faq(output: Path) -> dict[str, str]:
    """Train and package the FAQ model; return the paths and the digest that packaging reports."""
    with step("FAQ model trained and packaged"):
        command = [sys.executable, "-m", "samples.faq", "train", "--output", str(output), "--output-format", "json"]
        package: dict[str, str] = json.loads(run(command, folder=ROOT))
    return package


def apply_faq(cluster: Cluster, package: dict[str, str], image: str) -> None:
    """Put the artifact into a volume, apply the ScoringModel, and wait until it is ready."""
    with step("artifact copied into the claim `models`"):
        namespace = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster.kubectl("apply", "-f", "-", text_input=namespace)
        open_volume(cluster, NAMESPACE, image)
        copy_artifact(cluster, NAMESPACE, Path(package["archive"]), ARTIFACT)
        close_volume(cluster, NAMESPACE)
    with step("ScoringModel applied and ready"):
        cluster.kubectl("apply", "--namespace", NAMESPACE, "-f", package["scoring_model"])
        wait_until_ready(cluster)


def ask_questions(cluster: Cluster, answers: Path) -> None:
    """Ask the three questions through the Service."""
    known = json.loads(answers.read_text(encoding="utf-8"))
    with forward_service(cluster, NAMESPACE, "faq") as address:
        for question in QUESTIONS:
            show_matches(console, question, ask(address, question), known)


def show_models(cluster: Cluster) -> None:
    """Print `kubectl get scoringmodels`."""
    console.print("[bold]$ kubectl get scoringmodels[/bold]")
    console.print(cluster.kubectl("get", "scoringmodels", "--namespace", NAMESPACE), soft_wrap=True)


def scale_faq(cluster: Cluster) -> None:
    """Scale to two replicas with kubectl, wait for both, and show the model again."""
    console.print("[bold]$ kubectl scale scoringmodel faq --replicas=2[/bold]")
    console.print(
        cluster.kubectl("scale", "scoringmodel", "faq", "--replicas=2", "--namespace", NAMESPACE), soft_wrap=True
    )
    with step("two replicas ready"):
        condition = "--for=jsonpath={.status.readyReplicas}=2"
        cluster.kubectl("wait", condition, "scoringmodel/faq", "--namespace", NAMESPACE, "--timeout=180s")
    show_models(cluster)


def wait_until_ready(cluster: Cluster) -> None:
    """Wait until the newest generation of the model is ready."""
    body = json.loads(cluster.kubectl("get", "scoringmodel", "faq", "--namespace", NAMESPACE, "-o", "json"))
    generation = body["metadata"]["generation"]
    for condition in (f"--for=jsonpath={{.status.observedGeneration}}={generation}", "--for=condition=Ready"):
        cluster.kubectl("wait", condition, "scoringmodel/faq", "--namespace", NAMESPACE, "--timeout=180s")


def show_app(cluster: Cluster, answers: Path) -> str:
    """Deploy the sample app before the FAQ; return its user's password."""
    image = cluster.load_images(["client"])["client"]
    addresses = {"CLIENT_FAQ_URL": find_service("faq"), "CLIENT_IMAGES_URL": None}
    with step("sample app deployed"):
        return deploy_app(cluster, NAMESPACE, App(image, addresses, answers), ROOT / "build" / "demo-app")


def tell_more(cluster: Cluster, password: str | None) -> None:
    """Print how to ask more questions and how to take all of it down."""
    down = {
        Choice.LOCAL: "make cluster-down",
        Choice.KIND: "make cluster-down CLUSTER=kind",
        Choice.CURRENT: f"kubectl delete namespace {NAMESPACE} && helm uninstall scoring-operator --namespace scoring-system",
    }
    if cluster.shell_setup:
        console.print("[bold]To use kubectl on this cluster:[/bold]")
        console.print(f"  {cluster.shell_setup}", soft_wrap=True)
    console.print("[bold]To ask more:[/bold]")
    console.print(f"  kubectl --namespace {NAMESPACE} port-forward service/faq 8080:80 &", soft_wrap=True)
    ask_command = (
        """curl localhost:8080/score -H 'Content-Type: application/json' -d '{"input": "how do I copy an array?"}'"""
    )
    console.print(f"  {ask_command}", soft_wrap=True, markup=False)
    console.print("[bold]To see it in a browser:[/bold]")
    if password is None:
        console.print("  make demo APP=yes", soft_wrap=True)
    else:
        console.print(f"  kubectl --namespace {NAMESPACE} port-forward service/{APP} 8081:80 &", soft_wrap=True)
        console.print(f"  http://localhost:8081, as {USER} with the password {password}", soft_wrap=True, markup=False)
    console.print("[bold]To look around:[/bold]")
    console.print(f"  kubectl --namespace {NAMESPACE} describe scoringmodel faq", soft_wrap=True)
    console.print("[bold]To take it down:[/bold]")
    console.print(f"  {down[cluster.choice]}", soft_wrap=True)


def show_prometheus() -> None:
    """Print where Prometheus is, and what to ask it first: its API, since it has pages only where it was downloaded."""
    address = find_prometheus()
    console.print(f"[bold]To see metrics and alerts, in Prometheus at {address}:[/bold]")
    for path in ("query?query=scoring_requests_total", "query?query=scoring_operator_models", "alerts"):
        console.print(f"  curl '{address}/api/v1/{path}'", soft_wrap=True, markup=False)


def main() -> None:
    """Run the command line; what goes wrong is one message and exit status 1."""
    try:
        app()
    except (DemoError, LocalClusterError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
