package headless

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/etastar/etastar/trainer/bench"
)

func TestBenchTable(t *testing.T) {
	p := &bench.Plan{
		Device: "NVIDIA H200", Peak: 989e12, PeakBy: "data sheet", Torch: "PyTorch 2.11.0, CUDA 13.0", Steps: 20, Warmup: 5,
		Notes: []string{"a note\x1b[31m"},
	}
	one := bench.Row{
		Shape: "d128", Params: 918_144, Tokens: 16384, Runs: 1, Accumulate: 1, Rates: []float64{6.00e6, 6.12e6}, Share: 0.0423, FirstStep: 0.613,
		Peers: []bench.PeerResult{
			{Mode: "eager", Runs: 1, Rates: []float64{0.84e6, 0.83e6}, FirstStep: 1},
			{Mode: "compile", Runs: 1, Problem: "no result within 3m0s"},
			{Mode: "graphs", Runs: 1, Rates: []float64{5.79e6, 5.7e6}, FirstStep: 21.34},
		},
		OneByOne: 5.79e6,
	}
	eight := one
	eight.Runs, eight.Rates, eight.Share, eight.Accumulate = 8, []float64{15e6}, 0.104, 2
	eight.Peers = []bench.PeerResult{{Mode: "graphs", Runs: 8, Rates: []float64{13.7e6}, FirstStep: 24}}
	big := bench.Row{
		Shape: "moe", Params: 241_000_000, Tokens: 32768, Runs: 4, Problem: "4 runs need 200.0 GB of memory and may take 120.0",
		Peers: []bench.PeerResult{{Mode: "graphs", Runs: 4, Problem: "OutOfMemoryError: CUDA out of memory."}},
	}
	got := benchHead(p) + benchRow(one, true) + benchRow(eight, true) + benchRow(big, true)
	want := `NVIDIA H200, peak 989 TFLOP/s (data sheet); PyTorch 2.11.0, CUDA 13.0; 20 steps timed after 5
a note�[31m
Tokens a second are of all runs together; one by one: PyTorch's best single run, run after run.

shape      params  tokens/step  runs  tokens/s  spread  of peak  first step   PyTorch  mode             spread  first step  one by one  ours/best
d128         918k       16,384     1     6.12M    2.0%     4.2%      0.61 s     5.79M  graphs             1.6%      21.3 s       5.79M      1.06×
  PyTorch, compile: no result within 3m0s
d128         918k       16,384     8       15M       –    10.4%      0.61 s     13.7M  graphs                –      24.0 s       5.79M      1.09×
  in 2 micro-batches, for memory
moe          241M       32,768     4         –       –        –           –         –  –                     –           –           –          –
  not measured: 4 runs need 200.0 GB of memory and may take 120.0
  PyTorch, graphs: OutOfMemoryError: CUDA out of memory.
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p = &bench.Plan{Device: "cpu/avx2", Peak: 115e9, PeakBy: "measured", Cores: 2, Steps: 5, Warmup: 2}
	one.Peers, one.OneByOne = nil, 0
	got = benchHead(p) + benchRow(one, false)
	want = `cpu/avx2, peak 115 GFLOP/s a core (measured); 5 steps timed after 2
Tokens a second are of all runs together.

shape      params  tokens/step  runs  tokens/s  spread  of peak  first step
d128         918k       16,384     1     6.12M    2.0%     4.2%      0.61 s
`
	if got != want {
		t.Errorf("without PyTorch: got\n%s\nwant\n%s", got, want)
	}
}

func TestBenchRefuses(t *testing.T) {
	for word, o := range map[string]bench.Options{
		"there is no shape":  {Device: "cpu", Shapes: "d128,d9"},
		"runs together":      {Device: "cpu", Runs: "1,none"},
		"steps":              {Device: "cpu", Steps: -1},
		"there is no device": {Device: "abacus"},
		"on a GPU":           {Device: "cpu", Peer: "python3"},
	} {
		var out, err strings.Builder
		if code := (Bench{Options: o, Out: &out, Err: &err}).Do(t.Context()); code != Usage || !strings.Contains(err.String(), word) || out.Len() > 0 {
			t.Errorf("%+v: code %d, %q, %q", o, code, err.String(), out.String())
		}
	}
}

func TestBenchRuns(t *testing.T) {
	b := Bench{Options: bench.Options{Device: "cpu", Shapes: "0.1M", Runs: "1,2", Steps: 1}, JSON: true}
	var out, err strings.Builder
	b.Out, b.Err = &out, &err
	if code := b.Do(t.Context()); code != OK || err.Len() > 0 {
		t.Fatalf("code %d: %s", code, err.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, line := range lines {
		var r bench.Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Runs != i+1 || r.Rate() <= 0 || len(r.Rates) != 2 || r.FirstStep <= 0 || r.Share <= 0 || r.Peers != nil || r.Problem != "" {
			t.Errorf("%+v", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	if code := b.Do(ctx); code != Failed || out.Len() > 0 {
		t.Errorf("interrupted: code %d, %q", code, out.String())
	}
}
