package bench

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
)

// tiny is a case of milliseconds.
func tiny() Case {
	return Case{Name: "tiny", Shape: config.Dense(16, 1, 300, 16), Sequences: 4, Runs: []int{1, 3}}
}

// TestShapes: parameters and model FLOPs are those that PyTorch's published rates were
// turned into shares of an H100's 989 TFLOP/s with.
func TestShapes(t *testing.T) {
	for name, want := range map[string]struct{ params, rate, share float64 }{
		"d128": {0.9e6, 5.79e6, 0.040},
		"d256": {9.3e6, 3.86e6, 0.187},
		"d512": {60.8e6, 1.16e6, 0.338},
		"d768": {169.3e6, 0.454e6, 0.386},
		"moe":  {241e6, 0.112e6, 0.036},
	} {
		list, err := parseShapes(name, true)
		if err != nil {
			t.Fatal(err)
		}
		c := list[0]
		if n := float64(c.Shape.Params().Total); math.Abs(n/want.params-1) > 0.03 {
			t.Errorf("%s has %g parameters, not %g", name, n, want.params)
		}
		if share := want.rate * c.FLOPs() / hopperPeak; math.Abs(share/want.share-1) > 0.02 {
			t.Errorf("%s at %g tokens/s is %.4f of the peak, not %g", name, want.rate, share, want.share)
		}
	}
	for _, c := range Cases() {
		if p := c.Shape.Problems(); p != nil {
			t.Errorf("%s: %v", c.Name, p)
		}
	}
	a, _ := parseShapes("d256x16", true)
	if a[0].tokens() != 16*512 {
		t.Errorf("%+v", a[0])
	}
}

func TestChoices(t *testing.T) {
	for gpu, want := range map[bool]string{true: "d128 d256 d256x16 d512 d768 moe", false: "0.1M 1M 10M"} {
		list, err := parseShapes("", gpu)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range list {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("GPU %v: %s", gpu, got)
		}
	}
	if list, err := parseShapes("1M, d128,1M", false); err != nil || len(list) != 2 || list[1].Name != "d128" {
		t.Errorf("%v, %v", list, err)
	}
	if runs, err := parseRuns("8, 1,8"); err != nil || !slices.Equal(runs, []int{8, 1}) {
		t.Errorf("%v, %v", runs, err)
	}
	for _, list := range []string{"0", "-1", "x", "1,,2", "1e3", "2000"} {
		if runs, err := parseRuns(list); err == nil {
			t.Errorf("%q runs are %v", list, runs)
		}
	}
	if _, gpu, err := chooseDevice("cpu"); gpu || err != nil {
		t.Errorf("cpu: %v, %v", gpu, err)
	}
	if _, gpu, err := chooseDevice(""); err != nil || gpu != (missingGPU() == nil) {
		t.Errorf("any: %v, %v", gpu, err)
	}
}

func TestDataSheet(t *testing.T) {
	for name, want := range map[string]bool{
		"NVIDIA H100 80GB HBM3": true, "NVIDIA H200": true, "NVIDIA H100 NVL": false, "NVIDIA H100 PCIe": false,
		"NVIDIA H200 MIG 1g.18gb": false, "NVIDIA A100-SXM4-80GB": false,
	} {
		if sxm(driver.Info{Name: name, SMs: 132}) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if sxm(driver.Info{Name: "NVIDIA H100 80GB HBM3", SMs: 114}) {
		t.Error("a card with 114 multiprocessors has the peak of one with 132")
	}
}

func TestProduct(t *testing.T) {
	b, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if rate, err := product(b, 64, 2); err != nil || rate <= 0 || rate > 1e15 {
		t.Errorf("%g, %v", rate, err)
	}
}

// TestRows: every shape with every number of runs gives a row, and one that cannot be
// measured says why and stops no other.
func TestRows(t *testing.T) {
	d, err := openCPU()
	if err != nil {
		t.Fatal(err)
	}
	broken := tiny()
	broken.Name, broken.Shape.Heads, broken.Runs = "broken", 0, []int{1}
	p := &Plan{Device: d.name, Steps: 70, Warmup: 2, Peak: 1e11, PeakBy: measured, device: d, cases: []Case{broken, tiny()}}
	var said []string
	p.Now = func(what string) { said = append(said, what) }
	var rows []Row
	if err := p.Each(t.Context(), func(r Row) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].Problem == "" || rows[0].Rate() != 0 || rows[0].Ratio() != 0 {
		t.Fatalf("%+v", rows)
	}
	for i, r := range rows[1:] {
		if r.Problem != "" || r.Runs != tiny().Runs[i] || len(r.Rates) != 2 || r.Rate() != slices.Max(r.Rates) || r.FirstStep <= 0 || r.Accumulate != 1 || r.Tokens != 64 {
			t.Errorf("%+v", r)
		}
		if want := r.Rate() * tiny().FLOPs() / (1e11 * float64(min(r.Runs, d.workers))); math.Abs(r.Share-want) > 1e-9 {
			t.Errorf("share %g, want %g", r.Share, want)
		}
	}
	if !slices.Contains(said, "tiny, 3 together") {
		t.Errorf("said %q", said)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestFit: a group that does not fit is trained in micro-batches, or not at all.
func TestFit(t *testing.T) {
	d, err := openCPU()
	if err != nil {
		t.Fatal(err)
	}
	c := tiny()
	need := func(accumulate int) int64 {
		n, err := trainer.Memory(d.backend, c.configs("x", 2, accumulate)[0], 2)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, try := range []struct {
		free int64
		want int // 0: refused
	}{{need(1), 1}, {need(1) - 1, 2}, {need(4), 4}, {1, 0}} {
		d.free = func() (int64, error) { return try.free, nil }
		runs, err := d.fit(c, "x", 2)
		if (err == nil) != (try.want > 0) {
			t.Errorf("with %d bytes: %v", try.free, err)
		}
		if err == nil && (len(runs) != 2 || runs[0].Batch.Accumulate != try.want) {
			t.Errorf("with %d bytes: %+v", try.free, runs[0].Batch)
		}
	}
}

// TestWhole: a run that drops out, or steps that are not done, make no rate.
func TestWhole(t *testing.T) {
	ok := []trainer.StepResult{{}, {}}
	if err := whole(ok, 2); err != nil {
		t.Error(err)
	}
	if whole(ok, 3) == nil || whole([]trainer.StepResult{{}, {Diverged: "its loss is not finite"}}, 2) == nil {
		t.Error("a run that left is counted")
	}
}

func TestRatio(t *testing.T) {
	r := Row{Rates: []float64{3, 6}, OneByOne: 2, Peers: []PeerResult{{Mode: eager, Rates: []float64{1}}, {Mode: graphs, Rates: []float64{3, 4}}, {Mode: compiled, Problem: "no"}}}
	if p, ok := r.Peer(); !ok || p.Mode != graphs || r.Ratio() != 1.5 || r.Spread() != 0.5 || p.Spread() != 0.25 {
		t.Errorf("%+v: %g, %g", p, r.Ratio(), r.Spread())
	}
	r.OneByOne = 12 // training one after another is the better way
	if r.Ratio() != 0.5 {
		t.Errorf("%g", r.Ratio())
	}
	if _, ok := (Row{}).Peer(); ok || (Row{}).Ratio() != 0 || (Row{}).Spread() != 0 {
		t.Error("an empty row has numbers")
	}
}
