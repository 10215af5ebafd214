package mup_test

import (
	"fmt"

	"github.com/etastar/etastar/mup"
)

// A rate tuned on a small model, carried to one four times as wide and twice as deep.
func ExampleTransfer() {
	rule, err := mup.Find("completep")
	if err != nil {
		fmt.Println(err)
		return
	}
	base := mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, DFF: 768, Vocab: 8192}
	target := mup.Shape{Width: 1024, Depth: 8, Heads: 16, HeadDim: 64, DFF: 3072, Vocab: 8192}
	t, err := mup.Transfer(rule, base, target, mup.Hyper{LR: 4e-3, WeightDecay: 0.1, Eps: 1e-8}, mup.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range []mup.Module{mup.Embedding, mup.MLPDown} {
		row, err := t.Row(m)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: η %g, weight decay %g\n", m, row.Target.LR, row.Target.WeightDecay)
	}
	// Output:
	// embedding: η 0.004, weight decay 0.1
	// mlp_down: η 0.001, weight decay 0.4
}
