"""What transformers makes of exported model folders.

Reads a job as JSON from standard input and writes one line of JSON. A job has one of

    model, dtype, blocks    a folder, the dtype to compute in, and token ids [blocks, context];
                            the answer has logits [blocks, context, vocabulary] in float32, the
                            model's class, whether head and embedding are one tensor, and the
                            names of weights that were missing or too many
    tokenizer, texts        a folder and texts; the answer has for each its ids and their text
"""

import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(path, dtype):
    kind = getattr(torch, dtype)
    try:
        return AutoModelForCausalLM.from_pretrained(path, dtype=kind, output_loading_info=True)
    except TypeError:  # versions that knew the argument by another name
        return AutoModelForCausalLM.from_pretrained(path, torch_dtype=kind, output_loading_info=True)


def compute(job):
    model, info = load(job["model"], job["dtype"])
    model.eval()
    if getattr(model.config, "num_experts", 0) and hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # grouped products know no float32
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(job["blocks"]), use_cache=False).logits
    return {
        "class": type(model).__name__, "computed_in": str(logits.dtype).removeprefix("torch."),
        "tied": model.get_input_embeddings().weight is model.get_output_embeddings().weight,
        "missing": sorted(map(str, info["missing_keys"])), "unexpected": sorted(map(str, info["unexpected_keys"])),
        "logits": logits.float().tolist(),
    }


def tokenize(job):
    tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"])
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in job["texts"]]
    return {"ids": ids, "texts": [tokenizer.decode(x) for x in ids], "eos": tokenizer.eos_token_id}


def main():
    job = json.load(sys.stdin)
    answer = compute(job) if "model" in job else tokenize(job)
    answer["version"] = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
