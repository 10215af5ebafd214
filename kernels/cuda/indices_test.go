package cuda

import (
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels"
)

// TestIndices: numbers out of range are errors before anything is launched, name where
// they are, and go with a good write.
func TestIndices(t *testing.T) {
	s := kernels.NewSpace()
	tokens, table := s.Int("tokens", kernels.Shared, 4), s.Float("table", kernels.PerRun, 5, 4)
	targets, y := s.Int("targets", kernels.PerRun, 4), s.Float("y", kernels.PerRun, 4, 4)
	second := s.View("second", targets, 2, 2)
	r := s.Record("p")
	r.Add(kernels.Embed{Y: y, Table: table, Tokens: tokens},
		kernels.Head{Loss: s.Float("loss", kernels.PerRun, 2), X: s.View("x", y, 0, 2), W: table, Targets: second})
	p, err := r.Build()
	check(t, err)
	c, sized, err := compileAll(paper(t), 2, []*kernels.Program{p})
	check(t, err)
	list, err := c.finish(1<<40, sized)
	check(t, err)
	x := newIndices(s, list, 2)
	write := func(b kernels.Buffer, run int, v ...int32) {
		info, _ := s.Info(b)
		x.write(info, run, v)
	}
	expect := func(want string, active ...bool) {
		t.Helper()
		err := x.check(list[0], active)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	expect("", true, true)
	write(tokens, 0, 0, 1, 5, 2)
	expect("run 1: op 0: Embed: token: 5 at position 2 is not in 0…4", false, true)
	write(tokens, 0, 0, 1, -1, 2)
	expect("run 0: op 0: Embed: token: -1 at position 2", true, true)
	write(tokens, 0, 0, 1, 4, 2)
	expect("", true, true)
	write(targets, 1, 99, 99, -1, 4) // the head reads the second half
	expect("", true, true)
	write(second, 1, -7, 5)
	expect("run 1: op 1: Head: target: 5 at position 1", true, true)
	expect("", true, false)
	write(targets, 1, 0, 0, 0, 0)
	expect("", true, true)
}
