package cuda

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/kernels"
)

// paper is a target without a device.
func paper(t testing.TB) target {
	t.Helper()
	i, err := loadImages()
	check(t, err)
	return target{kernels: i.kernels(), sms: 132}
}

// papers are a card of the first generation that the kernels run on and a Hopper, with the
// shared memory that a block can ask for.
func papers(t testing.TB) map[int]target {
	t.Helper()
	h := paper(t)
	h.hopper = true
	return map[int]target{99 << 10: paper(t), 227 << 10: h}
}

// TestImages: the committed PTX has every kernel, and each stands alone.
func TestImages(t *testing.T) {
	all, err := loadImages()
	check(t, err)
	for name, text := range all {
		if !bytes.HasPrefix(text, []byte(".version ")) || bytes.Count(text, []byte(".entry")) != 1 || !bytes.HasSuffix(text, []byte("}\n")) {
			t.Errorf("kernel %s is not a whole module", name)
		}
	}
}

// TestGenerated: the committed PTX is what the sources compile to.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles every kernel")
	}
	if _, err := exec.LookPath("clang++-19"); err != nil {
		t.Skip("clang++-19, which compiles the kernels, is not installed")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("go is not installed")
	}
	dir := t.TempDir()
	if said, err := exec.Command("go", "run", "./gen", "-to", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	want, err := filepath.Glob(filepath.Join(dir, "*.ptx.gz"))
	check(t, err)
	have, err := filepath.Glob("ptx/*.ptx.gz")
	check(t, err)
	if len(want) != len(have) {
		t.Errorf("%d files of PTX for %d sources", len(have), len(want))
	}
	for _, f := range want {
		var text [2][]byte // compared unpacked: another version of Go may pack otherwise
		for i, path := range []string{f, filepath.Join("ptx", filepath.Base(f))} {
			b, err := os.ReadFile(path)
			check(t, err)
			text[i], err = unzip(b)
			check(t, err)
		}
		if !bytes.Equal(text[0], text[1]) {
			t.Errorf("%s is not what its source gives; run go generate ./kernels/cuda", filepath.Base(f))
		}
	}
}

// extent is a piece of memory of a run, or of the shared part.
type extent struct {
	what        string
	from, until int64
	first, last int
}

func overlapping(list []extent) string {
	for i, a := range list {
		for _, b := range list[:i] {
			if a.first <= b.last && b.first <= a.last && a.from < b.until && b.from < a.until {
				return fmt.Sprintf("%v and %v overlap", a, b)
			}
		}
	}
	return ""
}

// TestPlan: nothing overlaps that lives at the same time, and everything lies inside.
func TestPlan(t *testing.T) {
	for _, s := range []shape{smallDense, smallExperts} {
		m := newModel(t, s)
		c, sized, err := compileAll(paper(t), 3, []*kernels.Program{m.accumulate, m.apply, m.evaluate})
		check(t, err)
		l := c.layout
		always := func(what string, from, n int64) extent { return extent{what, from, from + n, 0, 1 << 30} }
		shared := []extent{
			always("slots", l.slots, 12), always("numbers", l.number, 12), always("constants", l.consts, l.constBytes), always("work", l.work, l.workBytes),
		}
		var perRun []extent
		for i, f := range c.forms {
			info := c.info(kernels.Buffer(i + 1))
			if info.Root != kernels.Buffer(i+1) || info.Class == kernels.Scratch {
				continue
			}
			for _, one := range []form{wide, narrow} {
				if f&one == 0 {
					continue
				}
				e := always(info.String(), l.places.of(one)[i], int64(info.Len())*one.size())
				if info.Class == kernels.Shared {
					shared = append(shared, e)
				} else {
					perRun = append(perRun, e)
				}
			}
		}
		if bad := overlapping(shared); bad != "" {
			t.Error(bad)
		}
		for _, p := range sized {
			list := slices.Clone(perRun)
			lives := map[kernels.Buffer]*[2]int{}
			for i := range p.program.Ops() {
				if p.work[i] > 0 {
					list = append(list, extent{fmt.Sprint("work of op ", i), l.scratch + p.workAt[i], l.scratch + p.workAt[i] + p.work[i], i, i})
				}
				for _, a := range p.program.Accesses(i) {
					root := c.info(a.Buffer).Root
					if c.info(root).Class == kernels.Scratch {
						if lives[root] == nil {
							lives[root] = &[2]int{i, i}
						}
						lives[root][1] = i
					}
				}
			}
			for _, h := range p.holds {
				for _, root := range h.roots {
					if life := lives[root]; life != nil {
						life[1] = max(life[1], h.until-1)
					}
				}
				for k := range list {
					if list[k].what == fmt.Sprint("work of op ", h.step) {
						list[k].last = h.until - 1
					}
				}
			}
			for root, life := range lives {
				info := c.info(root)
				for _, one := range []form{wide, narrow} {
					at := p.scratch.of(one)[root-1]
					if (at >= 0) != (c.forms[root-1]&one != 0) {
						t.Errorf("%s: form %d, placed at %d", info, c.forms[root-1], at)
					}
					if at >= 0 {
						list = append(list, extent{info.String(), l.scratch + at, l.scratch + at + int64(info.Len())*one.size(), life[0], life[1]})
					}
				}
			}
			if bad := overlapping(list); bad != "" {
				t.Errorf("program %s: %s", p.program.Name(), bad)
			}
			for _, e := range list {
				if e.until > l.run || e.from%align != 0 {
					t.Errorf("program %s: %v in %d bytes", p.program.Name(), e, l.run)
				}
			}
		}
	}
}

// TestBeside: what goes on beside the other launches touches nothing that these change before
// it is waited for, and that is most of what gives parameters their gradients.
func TestBeside(t *testing.T) {
	for name, target := range papers(t) {
		for _, s := range []shape{smallDense, smallExperts} {
			m := newModel(t, s)
			_, sized, err := compileAll(target, 2, []*kernels.Program{m.accumulate, m.apply, m.evaluate})
			check(t, err)
			number := 0
			for _, p := range sized {
				for _, l := range p.launches {
					if l.until == 0 {
						continue
					}
					number++
					if l.until <= l.step {
						t.Errorf("%d: a launch of step %d until step %d", name, l.step, l.until)
					}
					reads, writes := besides(t, p.program.Op(p.steps[l.step].op))
					for _, step := range p.steps[l.step+1 : l.until] {
						for _, a := range step.accesses {
							root := func(b kernels.Buffer) kernels.Buffer { info, _ := p.program.Space().Info(b); return info.Root }
							is := func(b kernels.Buffer) bool { return b != 0 && root(b) == root(a.Buffer) }
							if slices.ContainsFunc(writes, is) || a.Write && slices.ContainsFunc(reads, is) {
								t.Errorf("%d: %s of step %d is not waited for before step %d", name, l.kernel, l.step, step.op)
							}
						}
					}
				}
			}
			if least := 5 * s.layers; number < least {
				t.Errorf("%d: %d launches beside others, want at least %d", name, number, least)
			}
		}
	}
}

// besides are the buffers of what an operation does beside others.
func besides(t *testing.T, op kernels.Op) (reads, writes []kernels.Buffer) {
	switch o := op.(type) {
	case kernels.MatMul:
		return []kernels.Buffer{o.A, o.B}, []kernels.Buffer{o.Y}
	case kernels.GroupMatMulGrad:
		return []kernels.Buffer{o.DY, o.X, o.Offsets}, []kernels.Buffer{o.DW}
	case kernels.RMSNormGrad:
		return nil, []kernels.Buffer{o.DGain}
	case kernels.QKNormRopeGrad:
		return nil, []kernels.Buffer{o.DQGain, o.DKGain}
	}
	t.Errorf("%T has launches beside others", op)
	return nil, nil
}

// TestForms: what the operations need decides how buffers lie in memory.
func TestForms(t *testing.T) {
	m := newModel(t, smallDense)
	c, _, err := compileAll(paper(t), 1, []*kernels.Program{m.accumulate, m.apply, m.evaluate})
	check(t, err)
	want := map[string]form{
		"train.embedded": wide, "train.1.att.norm.sum": wide, "train.0.att.norm.y": narrow, "train.0.att.qkv.y": narrow,
		"train.0.att.lse": wide, "train.0.att.out": narrow, "train.0.mlp.gu": narrow, "train.dh": narrow, "train.dout": narrow,
		"embed": wide, "head": wide | narrow, "0.att.qkv": wide | narrow, "0.att.qkv.g": wide, "0.att.norm": wide, "0.mlp.up.m": wide,
		"token loss": wide, "tokens": wide,
	}
	for i, f := range c.forms {
		name := c.info(kernels.Buffer(i + 1)).Name
		if w, ok := want[name]; ok && f != w {
			t.Errorf("%s lies in memory as %d, want %d", name, f, w)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("no buffer %s", name)
	}
}

// TestFinish: compiled for an address, every launch lies within the limits of the
// device and every operation has one.
func TestFinish(t *testing.T) {
	for most, target := range papers(t) {
		testFinish(t, target, smallDense, most)
		testFinish(t, target, smallExperts, most)
	}
}

func testFinish(t *testing.T, on target, s shape, most int) {
	t.Helper()
	m := newModel(t, s)
	c, sized, err := compileAll(on, 2, []*kernels.Program{m.accumulate, m.apply, m.evaluate})
	check(t, err)
	before := c.layout.bytes()
	list, err := c.finish(1<<40, sized)
	check(t, err)
	for i, p := range list {
		if len(p.launches) < len(p.steps) || len(p.launches) != len(sized[i].launches) {
			t.Errorf("program %s: %d launches, %d when it was sized, for %d steps",
				p.program.Name(), len(p.launches), len(sized[i].launches), len(p.steps))
		}
		for _, l := range p.launches {
			if l.shared > most || l.block < 32 || l.block > 1024 {
				t.Errorf("kernel %s: %d threads, %d bytes of shared memory", l.kernel, l.block, l.shared)
			}
		}
	}
	for _, k := range c.consts {
		if k.at < c.layout.consts || k.at+int64(len(k.data)) > c.layout.consts+c.layout.constBytes {
			t.Errorf("a constant at %d of %d bytes outside of its place", k.at, len(k.data))
		}
	}
	if c.layout.bytes() != before {
		t.Error("the plan changed")
	}
}

func TestCompileErrors(t *testing.T) {
	s := kernels.NewSpace()
	x, y := s.Float("x", kernels.PerRun, 4, 12), s.Float("y", kernels.PerRun, 4, 12)
	qkv := s.Float("qkv", kernels.PerRun, 4, 36)
	build := func(op kernels.Op) *kernels.Program {
		r := s.Record("p")
		r.Add(op)
		p, err := r.Build()
		check(t, err)
		return p
	}
	blend := build(kernels.Blend{Y: y, A: x})
	odd := build(kernels.QKNormRope{QK: s.Float("qk", kernels.PerRun, 4, 24), QKV: qkv, Heads: kernels.Heads{Query: 1, KeyValue: 1, Dim: 12}})
	for want, f := range map[string]func() error{
		"0 runs":                   func() error { _, _, err := compileAll(paper(t), 0, []*kernels.Program{blend}); return err },
		"more memory than any":     func() error { _, _, err := compileAll(paper(t), 1<<20, []*kernels.Program{blend}); return err },
		"no programs":              func() error { _, _, err := compileAll(paper(t), 1, nil); return err },
		"heads of 12":              func() error { _, _, err := compileAll(paper(t), 1, []*kernels.Program{odd}); return err },
		"there is no kernel blend": func() error { _, _, err := compileAll(target{sms: 1}, 1, []*kernels.Program{blend}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestPick: how a product's inner axis is cut does not depend on the number of runs, and
// the pieces cover it.
func TestPick(t *testing.T) {
	for _, target := range papers(t) {
		rapid.Check(t, func(t *rapid.T) {
			m, n, k := rapid.IntRange(1, 5000).Draw(t, "m"), rapid.IntRange(1, 5000).Draw(t, "n"), rapid.IntRange(1, 70000).Draw(t, "k")
			one, many := &compiler{target: target, runs: 1}, &compiler{target: target, runs: rapid.IntRange(2, 40).Draw(t, "runs")}
			inOrder := rapid.Bool().Draw(t, "in order")
			_, slices, size, apart := one.pick(m, n, k, inOrder)
			_, others, same, together := many.pick(m, n, k, inOrder)
			if slices != others || size != same {
				t.Fatalf("%d pieces of %d for one run, %d of %d for %d", slices, size, others, same, many.runs)
			}
			for _, blocks := range []int{apart, together} {
				if blocks != slices && (blocks != 1 || !inOrder || slices > maxInOrder) {
					t.Fatalf("%d blocks of %d pieces", blocks, slices)
				}
			}
			if slices < 1 || slices*size < k || (slices-1)*size >= k || slices > 1 && size%sliceStep != 0 {
				t.Fatalf("%d pieces of %d for %d", slices, size, k)
			}
		})
	}
}

// TestFit: blocks that live together lie apart; those that do not share memory.
func TestFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var blocks []*block
		var sum int64
		for range rapid.IntRange(1, 30).Draw(t, "blocks") {
			first := rapid.IntRange(0, 20).Draw(t, "first")
			b := &block{first: first, last: first + rapid.IntRange(0, 9).Draw(t, "length"), size: align * rapid.Int64Range(1, 50).Draw(t, "size")}
			blocks, sum = append(blocks, b), sum+b.size
		}
		total := fit(blocks)
		var list []extent
		for _, b := range blocks {
			list = append(list, extent{"", b.at, b.at + b.size, b.first, b.last})
			if b.at+b.size > total {
				t.Fatalf("%v past the end, %d", b, total)
			}
		}
		if bad := overlapping(list); bad != "" || total > sum {
			t.Fatalf("%s; %d bytes for %d", bad, total, sum)
		}
	})
	chain := []*block{{0, 1, 512, 0}, {1, 2, 512, 0}, {2, 3, 512, 0}, {3, 4, 512, 0}}
	if n := fit(chain); n != 1024 {
		t.Errorf("a chain takes %d bytes", n)
	}
}
