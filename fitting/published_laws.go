package fitting

import (
	"errors"
	"fmt"
	"math"
)

// Zhou 2026, Eq 6.
const (
	zhouC = 38.4588
	zhouN = -0.2219
	zhouD = -0.3509
)

var tuned, unknownBatch = BatchRule{Kind: BatchTuned}, BatchRule{Kind: BatchUnknown}

// publishedLaws builds the table. Each call returns fresh values, so that a caller
// cannot change the laws for others.
func publishedLaws() []*Published {
	return []*Published{
		{
			Name:       "kaplan",
			Title:      "Kaplan 2020",
			Source:     "Kaplan et al. 2020",
			Formula:    "0.003239 − 0.0001395·ln N",
			Batch:      "not stated",
			Means:      "N non-embedding",
			Conditions: "standard parametrization, cosine; negative above N ≈ 1.2e10",
			Status:     "read",
			Needs:      []string{"N"},
			BatchRule:  unknownBatch,
			dense:      true,
			lr: func(t Target, _ *Anchor) (float64, error) {
				lr := 0.003239 - 0.0001395*math.Log(t.N)
				if lr <= 0 {
					return nan, fmt.Errorf("negative at N=%s: the law ends at N ≈ 12B", FormatCount(t.N))
				}
				return lr, nil
			},
		},
		{
			Name:       "deepseek",
			Title:      "DeepSeek LLM 2024",
			Source:     "DeepSeek LLM 2024",
			Formula:    "0.3118·C^−0.1250",
			Batch:      "0.2920·C^0.3271 tokens",
			Means:      "C = M·D, M = non-embedding FLOPs per token with attention; 6·N·D stands in where C is not given",
			Conditions: "multi-step schedule 80/10/10, 2,000 warm-up steps; near-optimal is within 0.25%",
			Status:     "read",
			Needs:      []string{"C"},
			BatchRule:  tuned,
			dense:      true,
			lr:         powerOfC(0.3118, -0.1250),
			batch:      batchOfC(0.2920, 0.3271),
		},
		{
			Name:       "minicpm",
			Title:      "MiniCPM 2024",
			Source:     "MiniCPM 2024",
			Formula:    "0.01, constant under its μP",
			Batch:      "1.21e9/L^6.24 tokens, L the final loss",
			Means:      "L = final loss",
			Conditions: "WSD, decay over 10%; its own μP",
			Status:     "read",
			BatchRule:  tuned,
			apart:      "0.01 is a base rate under MiniCPM's μP: not a rate for standard parametrization",
			lr:         func(Target, *Anchor) (float64, error) { return 0.01, nil },
			batch: func(t Target) (float64, error) {
				if !known(t.FinalLoss) {
					return nan, errors.New("needs " + needed("FinalLoss"))
				}
				return 1.21e9 / math.Pow(t.FinalLoss, 6.24), nil
			},
		},
		{
			Name:       "porian",
			Title:      "Porian 2024",
			Source:     "Porian et al. 2024",
			Formula:    "3.7·N^−0.36",
			Batch:      "0.7576·N^0.703 tokens",
			Means:      "N with head",
			Conditions: "constant η, β₂ tuned, 20 tokens per parameter",
			Status:     "second-hand",
			Needs:      []string{"N"},
			NRange:     [2]float64{5e6, 901e6},
			BatchRule:  tuned,
			dense:      true,
			lr: func(t Target, _ *Anchor) (float64, error) {
				return 3.7 * math.Pow(t.N, -0.36), nil
			},
			batch: func(t Target) (float64, error) {
				if !known(t.N) {
					return nan, errors.New("needs " + needed("N"))
				}
				return 0.7576 * math.Pow(t.N, 0.703), nil
			},
		},
		{
			Name:       "bjorck",
			Title:      "Bjorck 2024",
			Source:     "arXiv 2409.19913",
			Formula:    "1.55e-3·(N/1e9)^−0.23·(D/1e9)^−0.32",
			Batch:      "fixed 0.5M tokens",
			Means:      "N total",
			Conditions: "cosine",
			Status:     "second-hand",
			Needs:      []string{"N", "D"},
			NRange:     [2]float64{50e6, 2.7e9},
			DRange:     [2]float64{0, 800e9},
			BatchRule:  BatchRule{Kind: BatchFixed, Fixed: 0.5e6},
			dense:      true,
			lr: func(t Target, _ *Anchor) (float64, error) {
				return 1.55e-3 * math.Pow(t.N/1e9, -0.23) * math.Pow(t.D/1e9, -0.32), nil
			},
		},
		{
			Name:       "joint_moe",
			Title:      "Joint MoE 2025",
			Source:     "arXiv 2502.05172",
			Formula:    "exp(8.39 − 0.81·ln N_a − 0.25·ln E)",
			Batch:      "ramp 64K→256K tokens",
			Means:      "N_a active non-embedding, E experts",
			Conditions: "mixture of experts, WSD, linear decay over 20%",
			Status:     "read",
			Needs:      []string{"NActive", "Experts"},
			BatchRule:  unknownBatch,
			MoE:        true,
			lr: func(t Target, _ *Anchor) (float64, error) {
				return math.Exp(8.39 - 0.81*math.Log(t.NActive) - 0.25*math.Log(t.Experts)), nil
			},
		},
		{
			Name:       "step",
			Title:      "Step Law 2025",
			Source:     "arXiv 2503.04715",
			Formula:    "1.79·N^−0.713·D^0.307",
			Batch:      "0.58·D^0.571 tokens",
			Means:      "N without vocabulary; total for a mixture of experts",
			Conditions: "cosine to a fixed floor of 1e-5, 2,000 warm-up steps; batch tuned jointly",
			Status:     "read",
			Needs:      []string{"N", "D"},
			NRange:     [2]float64{215e6, 1.07e9},
			DRange:     [2]float64{4e9, 100e9},
			BatchRule:  tuned,
			lr: func(t Target, _ *Anchor) (float64, error) {
				return 1.79 * math.Pow(t.N, -0.713) * math.Pow(t.D, 0.307), nil
			},
			batch: func(t Target) (float64, error) {
				if !known(t.D) {
					return nan, errors.New("needs " + needed("D"))
				}
				return 0.58 * math.Pow(t.D, 0.571), nil
			},
			grid: []float64{214663680, 268304384, 429260800, 536872960, 1073741824},
		},
		{
			Name:       "ling2025",
			Title:      "Ling 2025",
			Source:     "arXiv 2507.17702",
			Formula:    "1.1576·C^−0.1529",
			Batch:      "0.0694·C^0.3644 tokens",
			Means:      "C = M·D, active non-embedding; 6·N_a·D stands in where C is not given",
			Conditions: "mixture of experts, WSD",
			Status:     "read",
			Needs:      []string{"NActive", "C"},
			CRange:     [2]float64{3e17, 3e20},
			BatchRule:  tuned,
			MoE:        true,
			lr:         powerOfC(1.1576, -0.1529),
			batch:      batchOfC(0.0694, 0.3644),
		},
		{
			Name:       "zhou",
			Title:      "Zhou 2026",
			Source:     "arXiv 2601.05049",
			Formula:    "η₀·(N/N₀)^−0.2219·(D/D₀)^−0.3509",
			Batch:      "unknown, fixed",
			Means:      "no unit stated for its constant 38.4588: only ratios to a measured anchor are used",
			Conditions: "mixture of experts, WSD, AdamW, standard parametrization",
			Status:     "read",
			Needs:      []string{"N", "D"},
			Relative:   true,
			NRange:     [2]float64{0, 12e9},
			DRange:     [2]float64{0, 500e9},
			BatchRule:  unknownBatch,
			lr: func(t Target, a *Anchor) (float64, error) {
				return a.LR * math.Pow(t.N/a.N, zhouN) * math.Pow(t.D/a.D, zhouD), nil
			},
		},
		{
			Name:       "ling2026",
			Title:      "Ling 2026",
			Source:     "arXiv 2609.08690",
			Formula:    "0.8343·C^−0.1385·A^0.1361",
			Batch:      "6.4765·D^0.5181·A^−0.0841 tokens",
			Means:      "C = M·D, active non-embedding, 6·N_a·D where not given; A = active/total experts",
			Conditions: "mixture of experts, Muon, WSD; A in {1, 1/4, 1/16, 1/32}",
			Status:     "read",
			Needs:      []string{"NActive", "C", "ActiveExperts"},
			BatchRule:  tuned,
			MoE:        true,
			apart:      "fitted for the Muon optimizer",
			lr: func(t Target, _ *Anchor) (float64, error) {
				return 0.8343 * math.Pow(t.FLOPs(), -0.1385) * math.Pow(t.ActiveExperts/t.Experts, 0.1361), nil
			},
			batch: func(t Target) (float64, error) {
				switch {
				case !known(t.D):
					return nan, errors.New("needs " + needed("D"))
				case !known(t.Experts) || !known(t.ActiveExperts):
					return nan, errors.New("needs " + needed("ActiveExperts"))
				}
				return 6.4765 * math.Pow(t.D, 0.5181) * math.Pow(t.ActiveExperts/t.Experts, -0.0841), nil
			},
		},
	}
}

func powerOfC(constant, exponent float64) func(Target, *Anchor) (float64, error) {
	return func(t Target, _ *Anchor) (float64, error) {
		return constant * math.Pow(t.FLOPs(), exponent), nil
	}
}

func batchOfC(constant, exponent float64) func(Target) (float64, error) {
	return func(t Target) (float64, error) {
		c := t.FLOPs()
		if !known(c) {
			return nan, errors.New("needs " + needed("C"))
		}
		return constant * math.Pow(c, exponent), nil
	}
}

// AbsoluteZhou is arXiv 2601.05049 Eq 6 as printed,
// 38.4588·(N/unitN)^−0.2219·D^−0.3509. The paper states neither the unit of N and D
// nor the batch size: with raw N (unitN 1) the result lies 26 to 50 times below
// every other law, with N in millions (unitN 1e6) it is in line with them, and
// neither reading is proven; every prediction warns of that. Prefer the relative
// law "zhou" from a measured anchor.
func AbsoluteZhou(unitN float64) (*Published, error) {
	if !known(unitN) {
		return nil, fmt.Errorf("absolute form of Zhou 2026: the unit of N is %v; say 1 for raw parameters or 1e6 for millions", unitN)
	}
	relative, err := FindPublished("zhou")
	if err != nil {
		return nil, err
	}
	p := *relative
	p.Relative = false
	p.Formula = fmt.Sprintf("38.4588·(N/%s)^−0.2219·D^−0.3509", FormatCount(unitN))
	p.apart = fmt.Sprintf("arXiv 2601.05049 Eq 6 states no unit: this reads N in units of %s and D in tokens, which is not proven; with raw N it lies 26 to 50 times below every other law", FormatCount(unitN))
	p.lr = func(t Target, _ *Anchor) (float64, error) {
		return zhouC * math.Pow(t.N/unitN, zhouN) * math.Pow(t.D, zhouD), nil
	}
	return &p, nil
}
