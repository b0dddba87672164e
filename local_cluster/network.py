"""The network of the real node: the bridge, the kernel's switches and the rule that keeps other machines out."""

import re
from pathlib import Path

from local_cluster import addresses
from local_cluster.commands import run, try_run

SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}
"""What pods need: forwarding, and Service addresses between pods of the same bridge."""

KUBELET_SYSCTLS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
"""What the kubelet sets; remembered, so that `down` can put it back."""

GUARD_CHAIN = "SCORING-GUARD"
TABLES = ("raw", "mangle", "nat", "filter")


def read_sysctls() -> dict[str, str]:
    """The present values of everything that a node changes."""
    paths = {name: _sysctl_path(name) for name in (*SYSCTLS, *KUBELET_SYSCTLS)}
    return {name: path.read_text().strip() for name, path in paths.items() if path.exists()}


def write_sysctls(values: dict[str, str]) -> list[str]:
    """Set the kernel's switches; returns the names of those that changed."""
    changed = []
    for name, value in values.items():
        path = _sysctl_path(name)
        if path.exists() and path.read_text().strip() != value:
            path.write_text(value)
            changed.append(name)
    return changed


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def ensure_bridge() -> None:
    """Make the bridge with the host's address on it, if it is not there; CommandFailed when the kernel refuses."""
    device = addresses.BRIDGE_DEVICE
    prefix_length = addresses.POD_RANGE.rpartition("/")[2]
    if not Path("/sys/class/net", device).exists():
        run(["ip", "link", "add", device, "type", "bridge"])
    run(["ip", "address", "replace", f"{addresses.BRIDGE_ADDRESS}/{prefix_length}", "dev", device])
    run(["ip", "link", "set", device, "up"])


def ensure_guard() -> None:
    """Drop what other machines send to pod or Service addresses: forwarding is on now, and the cluster is private."""
    if try_run(["iptables", "-w", "-t", "raw", "-C", "PREROUTING", "-j", GUARD_CHAIN]) is not None:
        return
    ours = ("-i lo -j RETURN", f"-i {addresses.BRIDGE_DEVICE} -j RETURN")
    drops = (f"-d {network} -j DROP" for network in (addresses.POD_RANGE, addresses.SERVICE_RANGE))
    rules = "\n".join(f"-A {GUARD_CHAIN} {rule}" for rule in (*ours, *drops))
    script = f"*raw\n:{GUARD_CHAIN} - [0:0]\n{rules}\n-A PREROUTING -j {GUARD_CHAIN}\nCOMMIT\n"
    run(["iptables-restore", "-w", "--noflush"], text_input=script)


def remove_bridge() -> list[str]:
    """Remove the bridge and what is plugged into it; returns what was removed."""
    ports = Path("/sys/class/net", addresses.BRIDGE_DEVICE, "brif")
    devices = [entry.name for entry in ports.iterdir()] if ports.exists() else []
    removed = []
    for device in (*devices, addresses.BRIDGE_DEVICE):
        if Path("/sys/class/net", device).exists() and try_run(["ip", "link", "delete", device]) is not None:
            removed.append(f"network device {device}")
    return removed


def is_our_chain(chain: str, rules: list[str], network: str) -> bool:
    """Whether a chain was made by kube-proxy, the kubelet, this program or CNI for our network.

    `rules` are the rules of the table as iptables-save prints them. CNI's chains may belong to other programs
    (podman has its own): ours are named in the comment of the rule that leads there.
    """
    mark = f'name: \\"{network}\\"'
    if chain == GUARD_CHAIN or chain.startswith("KUBE-"):
        return True
    if chain.startswith("CNI-HOSTPORT-"):
        return all(mark in rule for rule in rules if _target(rule).startswith("CNI-DN-"))
    return chain.startswith("CNI-") and any(mark in rule and _target(rule) == chain for rule in rules)


def render_chain_removal(saved: str, network: str) -> str:
    """What iptables-restore must read to remove our chains and the rules that lead there; empty without any."""
    script = []
    for table in re.split(r"^(?=\*)", saved, flags=re.MULTILINE):
        lines = table.splitlines()
        rules = [line for line in lines if line.startswith("-A ")]
        chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
        ours = {chain for chain in chains if is_our_chain(chain, rules, network)}
        if not ours:
            continue
        outside = [rule for rule in rules if rule.split()[1] not in ours and _target(rule) in ours]
        script += [lines[0], *(f"-D {rule[3:]}" for rule in outside)]
        script += [f"-F {chain}" for chain in sorted(ours)] + [f"-X {chain}" for chain in sorted(ours)] + ["COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def _target(rule: str) -> str:
    found = re.search(r" -[jg] (\S+)", rule)
    return found[1] if found else ""


def remove_chains(network: str) -> list[str]:
    """Remove our iptables chains of both address families; returns what was removed."""
    removed = []
    for family in ("iptables", "ip6tables"):
        script = render_chain_removal(try_run([f"{family}-save"]) or "", network)
        if script:
            run([f"{family}-restore", "-w", "--noflush"], text_input=script)
            removed.append(f"{script.count('-X ')} {family} chains")
    return removed


def find_chains(network: str) -> list[str]:
    """The iptables chains of ours that are still there."""
    found = []
    for family in ("iptables", "ip6tables"):
        script = render_chain_removal(try_run([f"{family}-save"]) or "", network)
        found += [f"{family} chain {line[3:]}" for line in script.splitlines() if line.startswith("-X ")]
    return found


def remove_tracked_connections() -> None:
    """Forget the connections of pods, whose addresses the next cluster gives out again."""
    for direction in ("--src", "--dst"):
        try_run(["conntrack", "--delete", direction, addresses.POD_RANGE])
