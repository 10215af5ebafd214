"""Trains an exported model on given batches in PyTorch and says what its losses were.

Reads a job as JSON from standard input and writes one line of JSON:

    model       folder of a Qwen3 or Qwen3-MoE model, weights in float32
    batches     file of int32, [steps, 2, sequences * context]: inputs, then targets
    sequences, context
    lr          learning rate of every step
    beta1, beta2, eps, weight_decay (of matrices alone), clip
    z           weight of the mean squared log-partition
    balance     weight of the load-balance loss, summed over the layers
    top_k       experts of a token
    device      cpu or cuda
    precisions  of which each trains the model once: float32, or bfloat16 by autocast

The answer has losses and grad_norms by precision, a number for every step: the mean
cross-entropy of the batch before the update, and the norm of all gradients before clipping.
"""

import json
import sys

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoModelForCausalLM


def balance_loss(logits, top_k):
    """E * sum over experts of f * P for router logits [tokens, E]; f sums to top_k."""
    probs = logits.float().softmax(-1)
    chosen = F.one_hot(probs.topk(top_k, -1).indices, probs.shape[-1])
    return probs.shape[-1] * (chosen.sum(1).float().mean(0) * probs.mean(0)).sum()


def watch_routers(model):
    """A list that every forward pass fills with the router logits of the layers.

    They are computed here from the routers' inputs: what a router returns differs between
    versions of transformers.
    """
    seen = []

    def hook(router, args, _):
        seen.append(F.linear(args[0].reshape(-1, router.weight.shape[1]), router.weight))

    for layer in model.model.layers:
        if hasattr(layer.mlp, "gate"):
            layer.mlp.gate.register_forward_hook(hook)
    return seen


def train(job, batches, precision):
    device = torch.device(job["device"])
    model = AutoModelForCausalLM.from_pretrained(job["model"]).float().to(device).train()
    if job["top_k"] > 0 and hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # grouped products know no float32
    routers = watch_routers(model)
    params = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in params if p.dim() > 1], "weight_decay": job["weight_decay"]},
            {"params": [p for p in params if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=1.0, betas=(job["beta1"], job["beta2"]), eps=job["eps"],
    )
    losses, norms = [], []
    for lr, (inputs, targets) in zip(job["lr"], batches):
        inputs, targets = inputs.to(device).long(), targets.to(device).long()
        routers.clear()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(input_ids=inputs.view(-1, job["context"]), use_cache=False).logits
        logits = logits.flatten(0, 1).float()
        partition = logits.logsumexp(-1)
        loss = (partition - logits.gather(-1, targets[:, None])[:, 0]).mean()
        total = loss + job["z"] * partition.square().mean()
        for r in routers:
            total = total + job["balance"] * balance_loss(r, job["top_k"])
        optimizer.zero_grad()
        total.backward()
        limit = job["clip"] if job["clip"] > 0 else float("inf")
        norms.append(torch.nn.utils.clip_grad_norm_(params, limit).item())
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def main():
    job = json.load(sys.stdin)
    torch.set_float32_matmul_precision("highest")
    with open(job["batches"], "rb") as f:
        data = torch.frombuffer(bytearray(f.read()), dtype=torch.int32)
    batches = data.view(len(job["lr"]), 2, job["sequences"] * job["context"])
    answer = {
        "torch": torch.__version__, "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name() if job["device"] == "cuda" else "cpu",
        "losses": {}, "grad_norms": {},
    }
    for precision in job["precisions"]:
        answer["losses"][precision], answer["grad_norms"][precision] = train(job, batches, precision)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
