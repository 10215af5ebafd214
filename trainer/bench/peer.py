"""PyTorch's side of `etastar bench`: trains one shape on random tokens and says how fast.

    python3 peer.py '{"probe": true, "device": 0}'
    python3 peer.py '{"shape": {...}, "sequences": 64, "runs": 1, "mode": "graphs",
                      "steps": 20, "warmup": 5, "device": 0}'

The shape has the fields of config.Shape. A line of JSON comes back on standard output.

The model is a decoder of the Qwen3 family: RMSNorm, packed query, key and value
projection, RMSNorm of every query and key head, rotary positions, causal attention by
scaled_dot_product_attention, SwiGLU with gate and up packed, an untied head. It trains in
bfloat16 autocast with fused AdamW, a learning rate that changes at every step, and
clipping. A mixture of experts is Qwen3MoeForCausalLM of the library transformers with
grouped products, without its load-balance loss.

Modes: eager; compile, which is torch.compile; graphs, which captures the whole compiled
step, update included, as one CUDA graph; reduce-overhead, torch.compile's own graphs.

With runs above 1 every weight has a leading axis of runs, products are batched, and
attention sees runs times sequences. All runs then share one learning rate and none is
clipped: less than a sweep needs.
"""

import json
import math
import sys
import time

IMPORT = time.perf_counter()
try:
    import torch
    import torch.nn.functional as F
    from torch.nn import Module, ModuleList, Parameter
except Exception as e:  # a broken installation raises more than ImportError
    print(json.dumps({"mode": "probe", "problem": f"{type(e).__name__}: {e}".splitlines()[0]}))
    sys.exit(0)


def linear(x, w):
    """x [..., n, in] times w transposed, w [..., out, in] with x's leading axis or none."""
    return F.linear(x, w) if w.dim() == 2 else torch.bmm(x, w.mT)


def norm(x, gain, eps):
    """RMSNorm of x [..., features]; gain [features], or [runs, features] for x [runs, ...]."""
    gain = gain.to(x.dtype)
    if gain.dim() == 1:
        return F.rms_norm(x, gain.shape, gain, eps)
    middle = [1] * (x.dim() - 2)
    return F.rms_norm(x, gain.shape[-1:], None, eps) * gain.view(gain.shape[0], *middle, -1)


def rotate(x, cos, sin):
    """Rotary positions of x [batch, context, heads, dim]; cos and sin [context, 1, dim/2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Layer(Module):
    def __init__(self, s, matrix, gain):
        super().__init__()
        d, q, kv, f = s["d_model"], s["heads"] * s["head_dim"], s["kv_heads"] * s["head_dim"], s["d_ff"]
        self.heads = [s["heads"], s["kv_heads"], s["kv_heads"]]
        self.head_dim, self.context, self.eps = s["head_dim"], s["context"], s["norm_eps"]
        self.norm1, self.norm2 = gain(d), gain(d)
        self.q_norm, self.k_norm = gain(self.head_dim), gain(self.head_dim)
        self.qkv, self.out = matrix(q + 2 * kv, d), matrix(d, q)
        self.gate_up, self.down = matrix(2 * f, d), matrix(d, f)

    def forward(self, x, cos, sin):
        x = x + linear(self.attention(norm(x, self.norm1, self.eps), cos, sin), self.out)
        gate, up = linear(norm(x, self.norm2, self.eps), self.gate_up).chunk(2, dim=-1)
        return x + linear(F.silu(gate) * up, self.down)

    def attention(self, x, cos, sin):
        qkv = linear(x, self.qkv)  # [..., n, features]
        qkv = qkv.view(*qkv.shape[:-1], sum(self.heads), self.head_dim)
        q, k, v = qkv.split(self.heads, dim=-2)
        q, k = norm(q, self.q_norm, self.eps), norm(k, self.k_norm, self.eps)
        q, k, v = [y.reshape(-1, self.context, *y.shape[-2:]) for y in (q, k, v)]
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        grouped = {} if self.heads[0] == self.heads[1] else {"enable_gqa": True}
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True, **grouped
        )
        return y.transpose(1, 2).reshape(*x.shape[:-1], self.heads[0] * self.head_dim)


class Dense(Module):
    """One decoder, or with runs above 1 as many with their weights stacked."""

    def __init__(self, s, runs):
        super().__init__()
        lead = (runs,) if runs > 1 else ()

        def matrix(rows, cols):
            return Parameter(torch.randn(*lead, rows, cols) * 0.02)

        def gain(n):
            return Parameter(torch.ones(*lead, n))

        self.runs, self.vocab, self.eps = runs, s["vocab"], s["norm_eps"]
        self.embed, self.head = matrix(s["vocab"], s["d_model"]), matrix(s["vocab"], s["d_model"])
        self.layers = ModuleList(Layer(s, matrix, gain) for _ in range(s["layers"]))
        self.final = gain(s["d_model"])
        half = s["head_dim"] // 2
        turns = s["rope_theta"] ** (-torch.arange(half) / half)
        angle = torch.outer(torch.arange(s["context"], dtype=turns.dtype), turns)[:, None]
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.register_buffer("first_row", torch.arange(runs)[:, None] * s["vocab"])

    def forward(self, tokens, targets):
        """The mean cross-entropy, summed over runs, of tokens [n] and targets [n]."""
        if self.runs > 1:
            x = F.embedding(tokens + self.first_row, self.embed.flatten(0, 1))
        else:
            x = F.embedding(tokens, self.embed)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = linear(norm(x, self.final, self.eps), self.head)
        total = F.cross_entropy(logits.view(-1, self.vocab), targets.repeat(self.runs), reduction="sum")
        return total / tokens.numel()


class Experts(Module):
    """Qwen3-MoE as transformers has it."""

    def __init__(self, s):
        super().__init__()
        from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

        self.context = s["context"]
        self.model = Qwen3MoeForCausalLM(Qwen3MoeConfig(
            vocab_size=s["vocab"], hidden_size=s["d_model"], num_hidden_layers=s["layers"],
            num_attention_heads=s["heads"], num_key_value_heads=s["kv_heads"], head_dim=s["head_dim"],
            num_experts=s["experts"], num_experts_per_tok=s["top_k"], moe_intermediate_size=s["d_ff_expert"],
            norm_topk_prob=True, max_position_embeddings=s["context"], tie_word_embeddings=False,
            rms_norm_eps=s["norm_eps"], use_cache=False, output_router_logits=False,
        ))
        if hasattr(self.model, "set_experts_implementation"):
            self.model.set_experts_implementation("grouped_mm")

    def forward(self, tokens, targets):
        logits = self.model(input_ids=tokens.view(-1, self.context), use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1), targets)


class Training:
    """A model, its optimizer and host memory with batches of random tokens."""

    BATCHES, PEAK, WARMUP = 8, 1e-3, 2000

    def __init__(self, job):
        s, device = job["shape"], torch.device("cuda", job["device"])
        self.mode, self.runs, self.done = job["mode"], job["runs"], 0
        torch.manual_seed(1)
        with device:
            self.model = Experts(s) if s.get("experts") else Dense(s, self.runs)
        self.model.train()
        self.params = list(self.model.parameters())
        flat = 2 if self.runs > 1 else 1
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in self.params if p.dim() > flat], "weight_decay": 0.1},
                {"params": [p for p in self.params if p.dim() <= flat], "weight_decay": 0.0},
            ],
            lr=torch.tensor(self.PEAK, device=device) if self.mode == "graphs" else self.PEAK,
            betas=(0.9, 0.95), eps=1e-8, fused=True, capturable=self.mode == "graphs",
        )
        self.rows = job["sequences"] * s["context"]
        shape = (self.BATCHES, 2, self.rows)
        self.host = torch.randint(s["vocab"], shape, device="cpu").pin_memory()
        self.batch = torch.zeros(2, self.rows, dtype=torch.int64, device=device)
        self.loss = self.model
        if self.mode == "reduce-overhead":
            self.loss = torch.compile(self.model, dynamic=False, mode="reduce-overhead")
        elif self.mode != "eager":
            self.loss = torch.compile(self.model, dynamic=False)
        self.run = self.step

    def step(self):
        """Forward, backward and update on the batch that lies on the card; the loss before."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = self.loss(self.batch[0], self.batch[1])
        loss.backward()
        if self.runs == 1:
            torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimizer.step()
        return loss.detach()

    def advance(self):
        """One step with everything that a training loop does on the host."""
        self.batch.copy_(self.host[self.done % self.BATCHES], non_blocking=True)
        self.done += 1
        lr = self.PEAK * min(1.0, self.done / self.WARMUP)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        if self.mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        return self.run()

    def capture(self):
        """Makes the whole step one graph. What is compiled or allocated once comes before."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.advance()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            loss = self.step()

        def replay():
            graph.replay()
            return loss

        self.run = replay

    def rate(self, steps):
        """Tokens a second of all runs over some steps, and the last loss, a mean over runs."""
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            loss = self.advance()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        return steps * self.rows * self.runs / seconds, loss.item() / self.runs


def measure(job):
    torch.cuda.set_device(job["device"])
    torch.set_float32_matmul_precision("high")
    torch.zeros(1, device="cuda").add_(1)
    torch.cuda.synchronize()
    start = time.perf_counter()
    training = Training(job)
    if job["mode"] == "graphs":
        training.capture()
    training.rate(1)
    first = time.perf_counter() - start
    training.rate(job["warmup"])
    timed = [training.rate(job["steps"]) for _ in range(2)]
    loss = timed[-1][1]
    if not math.isfinite(loss):
        raise ArithmeticError(f"the loss is {loss}")
    return {
        "tokens_per_s": [rate for rate, _ in timed], "first_step_s": first, "loss": loss,
        "params": sum(p.numel() for p in training.params) // training.runs,
        "memory": torch.cuda.max_memory_allocated(),
    }


def probe(job):
    if not torch.cuda.is_available():
        return {"problem": f"PyTorch {torch.__version__} sees no GPU"}
    return {
        "torch": torch.__version__, "cuda": torch.version.cuda or "",
        "card": torch.cuda.get_device_name(job["device"]),
    }


def main():
    imported = time.perf_counter() - IMPORT
    job = json.loads(sys.argv[1])
    line = {"mode": job.get("mode", "probe"), "runs": job.get("runs", 1), "import_s": imported}
    try:
        line.update(probe(job) if job.get("probe") else measure(job))
    except Exception as e:  # a mode that fails is a result
        text = str(e).strip().splitlines()
        line["problem"] = f"{type(e).__name__}: {text[0] if text else ''}"[:300]
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
