package mup

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// line is one row of a published table: modules that share exponents.
type line struct {
	modules  []Module
	quantity Quantity
	Exponents
	state State // "" is Stated
	note  string
}

// tableOf lays lines out by cell; a later line replaces an earlier one.
func tableOf(lines ...[]line) map[Cell]Entry {
	t := map[Cell]Entry{}
	for _, l := range slices.Concat(lines...) {
		for _, m := range l.modules {
			e := Entry{Exponents: l.Exponents, State: l.state, Note: l.note}
			if e.State == "" {
				e.State = Stated
			}
			t[Cell{m, l.quantity}] = e
		}
	}
	return t
}

// inherited marks what a rule takes over from the one it builds on.
func inherited(from string, lines []line) []line {
	out := slices.Clone(lines)
	for i, l := range out {
		if l.state == Neutral {
			continue
		}
		out[i].state = Inherited
		out[i].note = strings.TrimSuffix("as "+from+"; "+l.note, "; ")
	}
	return out
}

func of(groups ...[]Module) []Module { return slices.Concat(groups...) }

func only(m ...Module) []Module { return m }

// Published lists every published rule, fresh at each call.
func Published() []*Rule {
	return []*Rule{
		standard(),
		tensorPrograms(),
		simplified(),
		completeP("depth_mup", "depth-μP", 0.5),
		completeP("completep", "CompleteP", 1),
		completeDP(),
		moeMuP(),
		moeWidth(),
		miniCPM(),
		unitScaled(),
		horizonOnly("horizon_bjorck", "Bjorck's horizon", "arXiv 2409.19913", SecondHand, -0.32,
			"fitted at 0.5M tokens a step with a cosine schedule, 50M to 2.7B parameters, to 800B tokens"),
		horizonOnly("horizon_delphi", "Delphi's horizon", "Delphi (paper not recorded here)", SecondHand, -0.3),
		horizonOnly("horizon_zhou", "Zhou's horizon", "arXiv 2601.05049, Eq 6", Read, -0.3509,
			"fitted in standard parametrization on mixtures of experts with WSD and AdamW, to 12B parameters and 500B tokens; its batch is not stated"),
	}
}

// Names lists the published rules' names.
func Names() []string {
	var out []string
	for _, r := range Published() {
		out = append(out, r.Name)
	}
	return out
}

// Find is the published rule of a name, or the composition of several joined by +, such
// as "completep+horizon_zhou". The error names the nearest rule.
func Find(name string) (*Rule, error) {
	var found *Rule
	for part := range strings.SplitSeq(name, "+") {
		i := slices.Index(Names(), part)
		if i < 0 {
			return nil, unknown("rule", part, Names())
		}
		next := Published()[i]
		if found == nil {
			found = next
			continue
		}
		both, err := Compose(found, next)
		if err != nil {
			return nil, err
		}
		found = both
	}
	return found, nil
}

// CompleteP is the depth rule with any residual exponent a in [½, 1] (arXiv 2505.01618):
// a = ½ is depth-μP, a = 1 CompleteP.
func CompleteP(a float64) (*Rule, error) {
	switch {
	case a == 0.5:
		return completeP("depth_mup", "depth-μP", a), nil
	case a == 1:
		return completeP("completep", "CompleteP", a), nil
	case a > 0.5 && a < 1:
		r := completeP("completep_"+strings.ReplaceAll(number(a), ".", "_"), "CompleteP", a)
		r.Status, r.Derived = Derived, "from completep: a = "+number(a)
		return r, nil
	}
	return nil, fmt.Errorf("residual exponent a = %v: use ½ (depth-μP) to 1 (CompleteP)", a)
}

var sameSchedule = "the same schedule shape, data and Adam β₁, β₂"

func standard() *Rule {
	weights := of(only(Embedding), attention, dense, only(Router), experts, only(Head))
	return &Rule{
		Name: "sp", Title: "Standard parametrization",
		Source:  "Radford et al. 2019 for the depth factor, Qwen3's initializer_range for embedding and head",
		Status:  Recalled,
		Covers:  slices.Clone(dims),
		Assumes: []string{"nothing: the initial weights are defined at every shape"},
		Notes: []string{
			"claims no transfer: η is copied, and its optimum moves with every dimension",
			"not one paper's rule: it is how the trainer initialises",
		},
		Entries: tableOf([]line{
			{modules: only(AttentionQ, AttentionK, AttentionV, MLPGateUp, Router, ExpertGateUp), quantity: InitStd, Exponents: Exponents{Width: -0.5}, note: "1/√fan-in"},
			{modules: only(AttentionO), quantity: InitStd, Exponents: Exponents{Width: -0.5, Depth: -0.5}, note: "1/√(fan-in·2·depth)"},
			{modules: only(MLPDown, ExpertDown), quantity: InitStd, Exponents: Exponents{Width: -0.5, Depth: -0.5, FFNRatio: -0.5}, note: "1/√(fan-in·2·depth)"},
			{modules: only(Embedding, Head), quantity: InitStd, note: "0.02 at every shape"},
			{modules: of(weights, gains), quantity: LR},
			{modules: weights, quantity: WeightDecay},
			{modules: of(weights, gains), quantity: Eps},
			{modules: of(weights, only(Residual)), quantity: Multiplier},
			{modules: only(AttnLogits), quantity: Multiplier, Exponents: Exponents{HeadDim: -0.5}, note: "1/√d_head"},
		}),
	}
}

// mupDense is μP for Adam on a dense decoder.
func mupDense() []line {
	matrices := of(attention, dense)
	return []line{
		{modules: matrices, quantity: InitStd, Exponents: Exponents{Width: -0.5}, note: "variance 1/fan-in"},
		{modules: only(AttentionQ), quantity: InitStd, Exponents: Exponents{Width: -0.5}, note: "variance 1/fan-in; zero initial values are recommended"},
		{modules: matrices, quantity: LR, Exponents: Exponents{Width: -1}},
		{modules: matrices, quantity: WeightDecay, Exponents: Exponents{Width: 1}, note: "keeps η·λ; a decay that is not multiplied by η stays"},
		{modules: only(Embedding), quantity: InitStd},
		{modules: of(only(Embedding), gains), quantity: LR, note: "vector-like"},
		{modules: only(Head), quantity: Multiplier, Exponents: Exponents{Width: -1}, note: "the multiplier form; the other is initial variance 1/fan-in²"},
		{modules: only(Head), quantity: InitStd, note: "multiplier form: unscaled; zero initial values are recommended"},
		{modules: only(Head), quantity: LR, state: Neutral, note: "not stated for the multiplier form: taken as vector-like"},
		{modules: only(AttnLogits), quantity: Multiplier, Exponents: Exponents{HeadDim: -1}, note: "1/d_head instead of 1/√d_head: the base's factor is kept, so that it is 1/√d_head there"},
	}
}

func tensorPrograms() *Rule {
	return &Rule{
		Name: "mup", Title: "μP, Adam",
		Source: "Yang et al., Tensor Programs V; the mup package", Status: Read,
		Covers:  []Dim{Width, HeadDim},
		Assumes: []string{sameSchedule, "heads·d_head and d_ff grow with the width"},
		Notes:   []string{"dense only; Adam's ε and the residual factor are not stated"},
		Entries: tableOf(mupDense()),
	}
}

func simplified() *Rule {
	matrices := of(attention, dense)
	return &Rule{
		Name: "mup_simple", Title: "Simplified μP",
		Source: "nanoGPT-mup", Status: Read,
		Covers:  []Dim{Width, HeadDim},
		Assumes: []string{sameSchedule, "heads·d_head and d_ff grow with the width"},
		Notes:   []string{"dense only; weight decay, Adam's ε and the residual factor are not stated"},
		Entries: tableOf([]line{
			{modules: only(Embedding), quantity: InitStd},
			{modules: only(Embedding), quantity: LR},
			{modules: matrices, quantity: InitStd, Exponents: Exponents{Width: -0.5}, note: "variance σ²/m_N"},
			{modules: matrices, quantity: LR, Exponents: Exponents{Width: -1}},
			{modules: gains, quantity: LR},
			{modules: only(Head), quantity: Multiplier, Exponents: Exponents{Width: -1}},
			{modules: only(Head), quantity: InitStd, state: Neutral, note: "not stated apart from the embedding's"},
			{modules: only(Head), quantity: LR, state: Neutral, note: "not stated apart from the embedding's"},
			{modules: only(AttnLogits), quantity: Multiplier, Exponents: Exponents{HeadDim: -1}, note: "1/d_head"},
		}),
	}
}

// depthLines are what arXiv 2505.01618 adds to μP, residual exponent a.
func depthLines(a float64) []line {
	matrices := of(attention, dense)
	named := "the ε rule names no modules: taken for weights and norms inside the layers"
	return []line{
		{modules: only(Residual), quantity: Multiplier, Exponents: Exponents{Depth: -a}},
		{modules: matrices, quantity: LR, Exponents: Exponents{Width: -1, Depth: a - 1}},
		{modules: inLayer, quantity: LR, Exponents: Exponents{Depth: a - 1}},
		{modules: only(Embedding, FinalNorm), quantity: LR, note: "unscaled"},
		{modules: matrices, quantity: WeightDecay, Exponents: Exponents{Width: 1}},
		{modules: of(matrices, inLayer), quantity: Eps, Exponents: Exponents{Width: -1, Depth: -a}, note: named},
		{modules: only(Embedding, FinalNorm, Head), quantity: Eps, state: Neutral, note: named},
	}
}

func completeP(name, title string, a float64) *Rule {
	return &Rule{
		Name: name, Title: fmt.Sprintf("%s (a = %s)", title, number(a)),
		Source: "arXiv 2505.01618", Status: Read,
		Covers:  []Dim{Width, Depth, HeadDim},
		Assumes: []string{sameSchedule, "heads·d_head and d_ff grow with the width"},
		Notes:   []string{"dense only; initial values, head and attention factor are μP's, on which the rule builds"},
		Entries: tableOf(inherited("μP", mupDense()), depthLines(a)),
	}
}

func completeDP() *Rule {
	r := completeP("completep_dp", "CompleteP with batch and horizon", 1)
	r.Source, r.Status = "arXiv 2512.22382", SecondHand
	r.Covers = []Dim{Width, Depth, HeadDim, Batch, Horizon}
	r.Notes = append(r.Notes,
		"η and λ of every module × √(m_B/m_D), with AdamW's decay, so that τ = B/(η·λ·D) keeps; a = ½ transfers as well",
		"at fixed batch η ∝ D^−½")
	added := Exponents{Batch: 0.5, Horizon: -0.5}
	for c, e := range r.Entries {
		if e.State == Stated {
			e.State, e.Note = Inherited, strings.TrimSuffix("as CompleteP; "+e.Note, "; ")
			r.Entries[c] = e
		}
	}
	for _, m := range of(only(Embedding), attention, dense, gains, only(Head)) {
		for _, q := range []Quantity{LR, WeightDecay} {
			if m.Has(q) {
				e := r.Entry(m, q)
				e.Exponents, e.State = e.Plus(added), Stated
				r.Entries[Cell{m, q}] = e
			}
		}
	}
	r.Entries[Cell{Embedding, Eps}] = Entry{Exponents: Exponents{Width: -1}, State: Stated}
	return r
}

func moeMuP() *Rule {
	shared := inherited("μP", mupDense())
	shared = slices.DeleteFunc(shared, func(l line) bool { return l.quantity == WeightDecay })
	for i := range shared {
		shared[i].modules = slices.DeleteFunc(slices.Clone(shared[i].modules), func(m Module) bool { return slices.Contains(dense, m) })
	}
	return &Rule{
		Name: "moe_mup", Title: "MoE-μP",
		Source: "arXiv 2601.20205", Status: SecondHand,
		Covers: []Dim{Width, Depth, Experts, FFNRatio, HeadDim},
		Assumes: []string{
			sameSchedule, "the same active fraction κ = n_active/n_experts",
			"α_ffn read as an expert's inner width over the model's width",
		},
		Notes: []string{
			"from 38M active to 2B total parameters",
			"embedding, attention, norms and head are not stated: μP's, which CompleteP with a = 1, of the same residual factor, shares",
			"weight decay and Adam's ε are not stated: left alone, so η·λ of the matrices falls with the width",
		},
		Entries: tableOf(shared, []line{
			{modules: only(Router), quantity: InitStd, Exponents: Exponents{Width: -0.5}, note: "variance 1/n_embd"},
			{modules: only(Router), quantity: LR, Exponents: Exponents{Width: -1}},
			{modules: only(ExpertGateUp), quantity: InitStd, Exponents: Exponents{Width: -0.5}},
			{modules: only(ExpertGateUp), quantity: LR, Exponents: Exponents{Width: -1}},
			{modules: only(ExpertDown), quantity: InitStd, Exponents: Exponents{Width: -0.5, FFNRatio: -1}, note: "α_ffn^−1·n_embd^−½"},
			{modules: only(ExpertDown), quantity: LR, Exponents: Exponents{Width: -1, FFNRatio: -1}, note: "α_ffn^−1·n_embd^−1"},
			{modules: only(Residual), quantity: Multiplier, Exponents: Exponents{Depth: -1}, note: "1/L"},
		}),
	}
}

func moeWidth() *Rule {
	// "Same rules for experts as for dense matrices": μP's lines, their modules replaced.
	lines := inherited("μP", mupDense())
	for i, l := range lines {
		if !slices.Contains(l.modules, MLPDown) {
			continue
		}
		lines[i].modules = slices.Clone(attention)
		lines = append(lines, line{modules: experts, quantity: l.quantity, Exponents: l.Exponents, note: "as dense matrices"})
	}
	output := "like an output layer: the head's multiplier form"
	return &Rule{
		Name: "moe_width", Title: "MoE, width only",
		Source: "arXiv 2508.09752", Status: SecondHand,
		Covers: []Dim{Width, Experts, HeadDim},
		Assumes: []string{
			sameSchedule, "the same granularity: changing it breaks transfer", "the same active fraction",
		},
		Notes: []string{
			"adding experts is safe; whether top_k grows with them is not stated, so a changed active fraction is refused unless ignored explicitly",
			"Adam's ε and the residual factor are not stated",
		},
		Entries: tableOf(lines, []line{
			{modules: only(Router), quantity: Multiplier, Exponents: Exponents{Width: -1}, note: output},
			{modules: only(Router), quantity: InitStd, note: output},
			{modules: only(Router), quantity: LR, state: Neutral, note: output + ", for which η is not stated"},
		}),
	}
}

func miniCPM() *Rule {
	matrices := of(attention, dense)
	twoD := "stated for 2-D tensors; whether embedding and head count as such is not, so they are left alone"
	prescribed := map[Cell]Constant{
		{Embedding, Multiplier}: {Value: 12},
		{Residual, Multiplier}:  {Value: 1.4, Depth: -0.5},
	}
	for _, m := range of(only(Embedding), matrices, only(Head)) {
		prescribed[Cell{m, InitStd}] = Constant{Value: 0.1}
	}
	return &Rule{
		Name: "minicpm", Title: "MiniCPM",
		Source: "arXiv 2404.06395", Status: Read,
		Covers:  []Dim{Width, Depth},
		Assumes: []string{sameSchedule + " (WSD, decay over 10%)", "the same d_head: the attention factor is not stated"},
		Notes:   []string{"dense only; weight decay and Adam's ε are not stated"},
		Entries: tableOf([]line{
			{modules: matrices, quantity: InitStd, Exponents: Exponents{Width: -0.5}},
			{modules: matrices, quantity: LR, Exponents: Exponents{Width: -1}},
			{modules: only(Embedding, Head), quantity: InitStd, state: Neutral, note: twoD},
			{modules: only(Embedding, Head), quantity: LR, state: Neutral, note: twoD},
			{modules: gains, quantity: LR, state: Neutral, note: "stated for 2-D tensors only"},
			{modules: only(Embedding), quantity: Multiplier, note: "12"},
			{modules: only(Head), quantity: Multiplier, Exponents: Exponents{Width: -1}},
			{modules: only(Residual), quantity: Multiplier, Exponents: Exponents{Depth: -0.5}, note: "1.4/√L"},
		}),
		Prescribed:   prescribed,
		PrescribedLR: 0.01,
	}
}

func unitScaled() *Rule {
	matrices := of(attention, dense)
	scales := "a static scale of the paper, not recalled"
	prescribed := map[Cell]Constant{}
	for _, m := range of(only(Embedding), matrices, only(Head)) {
		prescribed[Cell{m, InitStd}] = Constant{Value: 1}
	}
	return &Rule{
		Name: "umup", Title: "u-μP",
		Source: "arXiv 2407.17465", Status: Recalled,
		Covers:  []Dim{Width, Depth},
		Assumes: []string{sameSchedule, "heads·d_head and d_ff grow with the width"},
		Notes: []string{
			"dense only; its forward scales are missing, so no model can be built from it until they are edited in",
			"η/√fan-in, η/√fan-out and η are a module's own rates: give base rates by module where they differ",
			"weight decay and Adam's ε are not stated",
		},
		Entries: tableOf([]line{
			{modules: of(only(Embedding), matrices, only(Head)), quantity: InitStd, note: "unit variance"},
			{modules: matrices, quantity: LR, Exponents: Exponents{Width: -0.5, Depth: -0.5}, note: "1/√fan-in, and 1/√depth in residual branches"},
			{modules: only(Embedding), quantity: LR, Exponents: Exponents{Width: -0.5}, note: "1/√fan-out"},
			{modules: only(Head), quantity: LR},
			{modules: gains, quantity: LR, state: Neutral, note: "norm gains are not stated"},
			{modules: only(Embedding), quantity: Multiplier, state: Neutral, note: scales},
			{modules: of(matrices, only(Head, Residual, AttnLogits)), quantity: Multiplier, state: Missing, note: scales},
		}),
		Prescribed: prescribed,
	}
}

func horizonOnly(name, title, source string, status Status, exponent float64, assumes ...string) *Rule {
	everything := of(only(Embedding), attention, dense, only(Router), experts, gains, only(Head))
	return &Rule{
		Name: name, Title: title, Source: source, Status: status,
		Covers:  []Dim{Horizon},
		Assumes: append([]string{"a fixed batch: the exponent's sign depends on it"}, assumes...),
		Notes: []string{
			fmt.Sprintf("η ∝ D^−%s for every module; nothing else is stated", number(math.Abs(exponent))),
			"compose with a width rule for another model",
		},
		Entries: tableOf([]line{{modules: everything, quantity: LR, Exponents: Exponents{Horizon: exponent}}}),
	}
}
