package session

import (
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/trainer/rundir"
)

// trained starts every sweep of a notebook and waits for all.
func trained(t *testing.T, statements ...string) *Session {
	t.Helper()
	s := openSweep(t, t.TempDir(), strings.Join(statements, "\n"))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var said []string
	if err := s.StartAll(ctx, func(w string) { said = append(said, w) }); err != nil {
		t.Fatalf("%v, after %q", err, said)
	}
	settle(t, s)
	return s
}

// TestCoordinateCheck trains widths 64 to 512: under μP every module is flat, under the
// standard parametrization what the hidden matrices write grows with the width.
func TestCoordinateCheck(t *testing.T) {
	const check = "coordinates d_model=[64,128,256,512] layers=1 lr=1e-2 context=32 batch=256 steps=8"
	s := trained(t, "mup = "+check+" rule=mup", "sp = "+check)
	slopes := func(name string) map[string]Coordinate {
		t.Helper()
		c := cell(t, s, name)
		study, ok := c.Value.(Sweep).Study.(*Coordinates)
		if !ok {
			t.Fatalf("%s: no study: %v", name, c.Notes)
		}
		out := map[string]Coordinate{}
		for _, m := range study.Modules {
			out[m.Module] = m
		}
		return out
	}
	mup, sp := slopes("mup"), slopes("sp")
	for name, m := range mup {
		if m.Verdict != "flat" || math.Abs(m.Last.Width) > flatSlope {
			t.Errorf("μP, %s: %+v %s", name, m.Last, m.Verdict)
		}
	}
	for _, name := range []string{"attention_v", "attention_o", "mlp_gate_up", "mlp_down", "residual"} {
		if m := sp[name]; m.Verdict != "grows with the width" || m.Last.Width < mup[name].Last.Width {
			t.Errorf("SP, %s: %+v %s", name, m.Last, m.Verdict)
		}
	}
	// Untrained, a head with μP's multiplier gives logits ∝ 1/√d_model, without one ∝ √d_model.
	if a, b := mup["head"].First.Width, sp["head"].First.Width; math.Abs(a+0.5) > 0.1 || math.Abs(b-0.5) > 0.1 {
		t.Errorf("untrained logits: slopes %v and %v, want −½ and ½", a, b)
	}
	if m := mup["embedding"]; len(m.widths) < 3 || len(m.widths[0].X) != 4 || m.widths[0].X[0] != 64 {
		t.Errorf("lines of the embedding: %+v", m.widths)
	}
	if x, err := Field(cell(t, s, "mup").Value, "flat"); err != nil || x != 10 {
		t.Errorf("%v are flat, %v", x, err)
	}
	if x, err := Field(cell(t, s, "sp").Value, "mlp_down.slope"); err != nil || x != sp["mlp_down"].Last.Width {
		t.Errorf("the slope of mlp_down is %v, %v", x, err)
	}
	if n := cell(t, s, "mup").Notes; !strings.Contains(strings.Join(n, "\n"), "under mup 10 of 10 modules are flat") {
		t.Errorf("%v", n)
	}
}

// TestVerdicts: a slope counts by its size and its error.
func TestVerdicts(t *testing.T) {
	for want, s := range map[string]Slope{
		"grows with the width": {0.5, 0.1, 0, 0}, "shrinks with the width": {-0.5, 0.1, 0, 0}, "flat": {0.1, 0.05, 0, 0},
		"too noisy to tell in the width": {0.5, 0.4, 0, 0}, "not measured": {math.NaN(), 0, 0, 0}, "grows with the depth": {0, 0, 1, 0.1},
		"grows with the width, shrinks with the depth": {1, 0.1, -1, 0.1},
	} {
		if got := s.verdict(true); got != want && !strings.HasPrefix(got, want) {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
	for text, want := range map[string]string{
		"coordinates d_model=64 lr=1e-2":                    "one width shows no slope",
		"coordinates d_model=[64,128] lr=1e-2 rule=moe_mup": "says nothing about",
	} {
		if c := evaluated(t, t.TempDir(), "x = "+text); c.Err == nil || !strings.Contains(c.Err.Error(), want) {
			t.Errorf("%s: %v", text, c.Err)
		}
	}
}

// TestStatLog: thinned, the first and the last step stay; a log is read again once it grew.
func TestStatLog(t *testing.T) {
	var events []rundir.Event
	for i := range int64(200) {
		events = append(events, rundir.Event{Step: i + 1, Tokens: 10 * i, Stats: map[string]map[string]rundir.Number{"head": {"act_abs": rundir.Number(i)}}})
	}
	delete(events[199].Stats["head"], "act_abs")
	events[199].Stats["norm"] = map[string]rundir.Number{"grad_rms": 7}
	r := SweepRun{Stats: NewStatLog(append(events, rundir.Event{Step: 201}))}
	if n := r.Stats.Len(); n != maxStats || r.Stats.Steps[0] != 1 || r.Stats.Steps[n-1] != 200 || !slices.IsSorted(r.Stats.Steps) {
		t.Errorf("%v", r.Stats.Steps)
	}
	steps, tokens, values := r.Stat("head", "act_abs")
	if len(steps) != maxStats-1 || values[5] != steps[5]-1 || tokens[5] != 10*values[5] {
		t.Errorf("%v, %v, %v", steps, tokens, values)
	}
	if _, _, v := r.Stat("norm", "grad_rms"); len(v) != 1 || v[0] != 7 || len(r.Stats.Names()) != 2 {
		t.Errorf("%v, %v", v, r.Stats.Names())
	}
	none := SweepRun{}
	if s, _, _ := none.Stat("head", "act_abs"); s != nil || none.Stats.Names() != nil {
		t.Error("a run without statistics has some")
	}
	dir := t.TempDir()
	read := func(text string) SweepRun {
		t.Helper()
		if err := os.WriteFile(rundir.EventsFile(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := SweepRun{Dir: dir}
		r.readCurve()
		return r
	}
	const one = `{"step":1,"tokens":64,"lr":1,"loss":5,"spike":true,"stats":{"head":{"act_abs":0.5}}}` + "\n"
	if r := read(one); len(r.Losses) != 1 || r.Stats.Len() != 1 || r.Spikes != 1 {
		t.Errorf("%+v", r)
	}
	if r := read(one + `{"step":2,"tokens":128,"lr":1,"loss":4}` + "\n"); len(r.Losses) != 2 || r.Stats.Len() != 1 {
		t.Errorf("%+v", r)
	}
}
