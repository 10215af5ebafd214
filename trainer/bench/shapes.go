package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/trainer/config"
)

// Case is a shape that is measured.
type Case struct {
	Name      string
	Shape     config.Shape
	Sequences int   // of a step
	Runs      []int // together, where nothing else is asked for; none: one, and one a core
	Small     bool  // for a processor
}

func (c Case) tokens() int64 { return int64(c.Sequences) * int64(c.Shape.Context) }

// FLOPs is the model FLOPs of one token: 6·(N − V·d) + 6·L·h·head_dim·T, with N the
// parameters that a token goes through. The input embedding is looked up, not multiplied,
// and causal attention looks back half of the context on average.
func (c Case) FLOPs() float64 {
	s := c.Shape
	return 6*float64(s.Params().ActiveNonEmb) + 6*float64(s.Layers)*float64(s.Heads*s.HeadDim)*float64(s.Context)
}

// Cases lists the shapes that have a name.
func Cases() []Case {
	dense := func(vocab, d, layers, headDim, context int) config.Shape {
		s := config.Dense(d, layers, vocab, context)
		s.HeadDim, s.Heads, s.KVHeads = headDim, d/headDim, d/headDim
		return s
	}
	moe := dense(32768, 512, 8, 64, 1024)
	moe.KVHeads, moe.DFF, moe.Experts, moe.TopK, moe.DFFExp = 4, 0, 64, 8, 256
	return []Case{
		{Name: "d128", Shape: dense(256, 128, 4, 32, 512), Sequences: 32, Runs: []int{1, 4, 8, 16}},
		{Name: "d256", Shape: dense(8192, 256, 6, 64, 512), Sequences: 64, Runs: []int{1}},
		{Name: "d256x16", Shape: dense(8192, 256, 6, 64, 512), Sequences: 16, Runs: []int{1, 4, 8}},
		{Name: "d512", Shape: dense(32768, 512, 8, 64, 1024), Sequences: 64, Runs: []int{1}},
		{Name: "d768", Shape: dense(50304, 768, 12, 64, 1024), Sequences: 32, Runs: []int{1}},
		{Name: "moe", Shape: moe, Sequences: 32, Runs: []int{1}},
		{Name: "0.1M", Shape: config.Dense(64, 2, 256, 128), Sequences: 16, Small: true},
		{Name: "1M", Shape: config.Dense(160, 3, 256, 128), Sequences: 16, Small: true},
		{Name: "10M", Shape: config.Dense(384, 6, 256, 128), Sequences: 16, Small: true},
	}
}

// Names lists the names of the shapes.
func Names() []string {
	var out []string
	for _, c := range Cases() {
		out = append(out, c.Name)
	}
	return out
}

// parseShapes finds shapes by their names; without any, those for the device.
func parseShapes(list string, gpu bool) ([]Case, error) {
	all := Cases()
	if list == "" {
		return slices.DeleteFunc(all, func(c Case) bool { return c.Small == gpu }), nil
	}
	var out []Case
	for _, name := range split(list) {
		i := slices.IndexFunc(all, func(c Case) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no shape %q: use %s", name, strings.Join(Names(), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// maxRuns is more than a sweep has.
const maxRuns = 1024

func parseRuns(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var out []int
	for _, word := range split(list) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > maxRuns {
			return nil, fmt.Errorf("%q runs together: use numbers from 1 to %d, such as 1,4,8", word, maxRuns)
		}
		out = append(out, n)
	}
	return out, nil
}

// split cuts a list at its commas; what is named twice is measured once.
func split(list string) []string {
	var out []string
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}
