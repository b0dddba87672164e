"""ResNet-152 in PyTorch's eager mode, as torchvision's documentation has it: `bare_torch.py STATE THREADS`."""

import sys

import safetensors.torch
import torch
from bare_engine import draw_batch, serve_standard_input
from torchvision.models import resnet152

path, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = resnet152(weights=None)
model.load_state_dict(safetensors.torch.load_file(path))
model.eval().to(device)
batch = torch.from_numpy(draw_batch()).to(device)


def score() -> object:
    """Score the picture."""
    with torch.inference_mode():
        return model(batch).cpu()


serve_standard_input(score)
