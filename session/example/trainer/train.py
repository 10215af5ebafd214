#!/usr/bin/env python3
"""A small trainer for `sweep command=…`: a bigram language model with one hidden
layer, plain Python without packages, on a text that it makes itself.

It logs JSON lines, checkpoints to --out, goes on with --resume, and exits with 0.
"""

import argparse
import json
import math
import os
import random
import sys

VOCABULARY = 16


def text(n, seed):
    """Symbols of a Markov chain: there is something to learn, and a floor to reach."""
    r = random.Random(seed)
    s, out = 0, []
    for _ in range(n):
        out.append(s)
        s = (3 * s + 1) % VOCABULARY if r.random() < 0.7 else r.randrange(VOCABULARY)
    return out


class Model:
    def __init__(self, d, seed):
        r = random.Random(seed)
        self.embed = [[r.gauss(0, 1) / math.sqrt(d) for _ in range(d)] for _ in range(VOCABULARY)]
        self.head = [[r.gauss(0, 1) / math.sqrt(d) for _ in range(d)] for _ in range(VOCABULARY)]

    def probabilities(self, h):
        logits = [sum(a * b for a, b in zip(w, h)) for w in self.head]
        top = max(logits)
        e = [math.exp(v - top) for v in logits]
        total = sum(e)
        return [v / total for v in e]

    def step(self, pairs, lr):
        """One SGD step on (symbol, next symbol) pairs; returns the mean loss in nats."""
        loss = 0.0
        grads = {}
        head = [[0.0] * len(row) for row in self.head]
        for x, y in pairs:
            h = self.embed[x]
            p = self.probabilities(h)
            loss -= math.log(max(p[y], 1e-300))
            g = grads.setdefault(x, [0.0] * len(h))
            for k in range(VOCABULARY):
                d = p[k] - (k == y)
                row, target = self.head[k], head[k]
                for i in range(len(h)):
                    g[i] += d * row[i]
                    target[i] += d * h[i]
        scale = lr / len(pairs)
        for x, g in grads.items():
            self.embed[x] = [w - scale * v for w, v in zip(self.embed[x], g)]
        for k in range(VOCABULARY):
            self.head[k] = [w - scale * v for w, v in zip(self.head[k], head[k])]
        return loss / len(pairs)

    def loss(self, symbols):
        pairs = list(zip(symbols, symbols[1:]))
        return sum(-math.log(max(self.probabilities(self.embed[x])[y], 1e-300)) for x, y in pairs) / len(pairs)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--lr", type=float, required=True)
    a.add_argument("--tokens", type=float, default=8000)
    a.add_argument("--batch", type=int, default=40)
    a.add_argument("--d_model", type=int, default=8)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--out", default="")
    a.add_argument("--resume", action="store_true")
    a.add_argument("--sleep", type=float, default=0, help="seconds a step takes longer")
    o = a.parse_args()

    steps = int(o.tokens // o.batch)
    data, held_out = text(20000, 1), text(400, 2)
    model, first = Model(o.d_model, o.seed), 1
    checkpoint = os.path.join(o.out, "checkpoint.json") if o.out else ""
    if o.resume and checkpoint and os.path.exists(checkpoint):
        with open(checkpoint) as f:
            state = json.load(f)
        model.embed, model.head, first = state["embed"], state["head"], state["step"] + 1
    for step in range(first, steps + 1):
        warm, decay = steps // 20 or 1, steps // 5 or 1
        lr = o.lr * min(1, step / warm, (steps - step + 1) / decay)
        at = (step * o.batch) % (len(data) - o.batch - 1)
        pairs = list(zip(data[at:at + o.batch], data[at + 1:at + o.batch + 1]))
        try:
            loss = model.step(pairs, lr)
        except (OverflowError, ValueError):
            loss = float("nan")
        line = {"step": step, "train_loss": loss, "lr": lr}
        if step % (steps // 10 or 1) == 0 or step == steps:
            line["val_loss"] = model.loss(held_out) if loss == loss else loss
            if checkpoint:
                with open(checkpoint + ".tmp", "w") as f:
                    json.dump({"embed": model.embed, "head": model.head, "step": step}, f)
                os.replace(checkpoint + ".tmp", checkpoint)
        print(json.dumps(line), flush=True)
        if loss != loss:
            sys.exit(3)
        if o.sleep:
            import time
            time.sleep(o.sleep)


if __name__ == "__main__":
    main()
