package tui

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// liveSweep is a sweep in the middle of its training: a shape is done, one trains, one waits.
func liveSweep() session.Sweep {
	v := session.Sweep{Table: &table.Table{}, Dir: "runs/x"}
	for shape, d := range []int{32, 64, 128} {
		for k, lr := range []float64{1e-3, 3.16e-3, 1e-2, 3.16e-2, 1e-1} {
			r := session.SweepRun{Config: config.Default(config.Dense(d, 2, 256, 128), lr).For(204_800), Dir: "x"}
			steps := r.Config.Steps()
			share, state := 1.0, rundir.Finished
			switch {
			case shape == 2:
				share, state = 0, rundir.Queued
			case k == 4:
				share, state = 0.3, rundir.Diverged
			case shape == 1 && k == 3:
				share, state = 0.55, rundir.Running
			}
			final := 1.7 + 0.1/float64(shape+1) + 0.04*float64((k-2)*(k-2))
			r.Status = rundir.Status{State: state, Step: int64(share * float64(steps)), Steps: steps, Tokens: int64(share * 204_800), Val: rundir.Number(final)}
			if state == rundir.Running {
				r.Status.Rate = 61_300
			}
			for i := range int(share * 100) {
				y := final + 1.8*math.Exp(-float64(i)/15) + 0.08*math.Sin(float64(7*i+k))
				if state == rundir.Diverged && i > 20 {
					y += 0.3 * float64(i-20)
				}
				r.Tokens, r.Losses = append(r.Tokens, float64(i)*2048), append(r.Losses, y)
			}
			v.Runs = append(v.Runs, r)
		}
	}
	return v
}

// TestGoldenSweep looks at a sweep while it trains.
func TestGoldenSweep(t *testing.T) {
	for _, size := range [][2]int{{200, 50}, {120, 36}, {80, 24}} {
		m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{liveSweep()}}, size[0], size[1])
		name := fmt.Sprintf("%dx%d-sweep", size[0], size[1])
		golden(t, name, emulated(m))
		m.Update(keyPress("~"))
		m.Update(keyPress("|"))
		m.Update(keyPress("}"))
		m.Update(keyPress("{"))
		golden(t, name+"-smooth-log", emulated(m))
		m.Update(keyPress("|"))
		m.Update(keyPress("v"))
		golden(t, name+"-schedule", emulated(m))
	}
}

// TestSweepPanesFit: the panes of a sweep, odd or not, are exactly as large as asked.
func TestSweepPanesFit(t *testing.T) {
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{liveSweep(), oddSweep()}}, 120, 36)
	for i := range m.items {
		c := m.items[i].Cell
		for _, st := range []sweepState{{}, {shape: 99, smooth: 2, axis: true}, {shape: 1, smooth: 1}, {zoom: 2}, {zoom: 99, axis: true}} {
			if v, _ := shownValue(c.Value).(session.Sweep); st.zoom > 0 {
				st.at, st.run = 7, v.Runs[7].Config.Name()
			}
			m.stateOf(c).sweep = st
			for w := 1; w < 130; w += 7 {
				for _, h := range []int{1, 2, 3, 5, 6, 8, 9, 10, 17, 40} {
					for name, draw := range map[string]func(*Model, *session.Cell, int, int) []string{"loss": drawSweep, "schedule": drawSchedule} {
						lines := draw(m, c, w, h)
						if len(lines) != h {
							t.Fatalf("%s of item %d at %d×%d has %d lines", name, i, w, h, len(lines))
						}
						for _, l := range lines {
							if width(l) > w {
								t.Fatalf("%s of item %d at %d×%d: %q", name, i, w, h, stripped(l))
							}
						}
					}
				}
			}
		}
	}
}

// TestCard: what the GPU does stands beside the progress, as far as it is known.
func TestCard(t *testing.T) {
	v := liveSweep()
	for i := range v.Runs {
		if st := &v.Runs[i].Status; st.State == rundir.Running {
			st.Device, st.Card = "cuda/NVIDIA H200/sm_90", &rundir.Card{Busy: 97, Used: 38e9, Total: 150e9, Watts: 412.4, Celsius: 61, Others: 1}
		}
	}
	screen := func() string {
		return emulated(newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, 160, 36))
	}
	if got := screen(); !strings.Contains(got, "H200 97% 412 W 61 °C 38/150 GB, shared with 1") {
		t.Errorf("no card on screen:\n%s", got)
	}
	for i := range v.Runs {
		if st := &v.Runs[i].Status; st.Card != nil {
			st.Card = &rundir.Card{Busy: -1, Used: -1, Total: -1, Watts: -1, Celsius: -1}
		}
	}
	if got := screen(); !strings.Contains(got, "H200") || strings.Contains(got, "-1") {
		t.Errorf("a card that tells nothing:\n%s", got)
	}
}
