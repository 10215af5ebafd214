package headless

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session/export"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/rundir"
)

// unreadable stands in place of a state for a run whose files cannot be understood.
const unreadable rundir.State = "unreadable"

// launchTime is how long a worker may take to be started.
const launchTime = 10 * time.Second

// Runs lists the runs in and below a folder, sweep by sweep: as text or, with JSON,
// as the array that the package describes.
type Runs struct {
	Root     string // the folder of all sweeps, a sweep or one run
	JSON     bool
	Out, Err io.Writer
}

// Do lists the runs and returns the exit code.
func (r Runs) Do(ctx context.Context) int {
	if ctx.Err() != nil {
		say(r.Err, "interrupted")
		return Failed
	}
	list, err := runsBelow(r.Root)
	if err != nil {
		say(r.Err, err.Error())
		return Environment
	}
	var b bytes.Buffer
	if r.JSON {
		out := make([]runObject, len(list))
		for i, s := range list {
			out[i] = objectOf(s)
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(out)
	} else {
		if len(list) == 0 {
			say(r.Err, "there are no runs in "+r.Root)
		}
		writeRuns(&b, list)
	}
	if err == nil {
		_, err = r.Out.Write(b.Bytes())
	}
	if err != nil {
		say(r.Err, err.Error())
		return Environment
	}
	return OK
}

// AskRuns passes a request to every run below some folders that trains or is paused.
type AskRuns struct {
	Dirs     []string // runs, sweeps or folders of sweeps
	Request  rundir.Request
	Out, Err io.Writer
}

// Do passes the request on, says how many runs were asked and returns the exit code:
// Failed if none was. It does not wait for the workers.
func (a AskRuns) Do(ctx context.Context) int {
	code, asked, queued := OK, 0, 0
	seen := map[string]bool{}
	for _, dir := range a.Dirs {
		list, err := runsBelow(dir)
		if err != nil {
			say(a.Err, err.Error())
			code = worse(code, Environment)
		}
		for _, s := range list {
			if ctx.Err() != nil {
				say(a.Err, "interrupted; "+number.Plural(asked, "run was", "runs were")+" asked before")
				return worse(code, Failed)
			}
			if at := absolute(s.Dir); seen[at] {
				continue
			} else {
				seen[at] = true
			}
			did, err := trainer.Request(s.Dir, a.Request, "the command line")
			switch {
			case err != nil && rundir.Read(s.Dir).Status.State.Ended(): // it ended just now
			case err != nil:
				say(a.Err, err.Error())
				code = worse(code, Failed)
			case did:
				asked++
			case stateOf(s) == rundir.Queued:
				queued++
			}
		}
	}
	if asked == 0 {
		say(a.Err, "there is no run to "+string(a.Request)+": none trains or is paused")
		return worse(code, Failed)
	}
	fmt.Fprintf(a.Out, "%s asked to %s\n", number.Plural(asked, "run", "runs"), a.Request)
	if queued > 0 && a.Request != rundir.Resume {
		say(a.Err, number.Plural(queued, "queued run was", "queued runs were")+" not asked: a worker may still take them up")
	}
	return code
}

// StartRuns takes up again what was stopped, failed, was interrupted or never began, and
// starts a worker that trains it in the background.
type StartRuns struct {
	Dir      string   // a sweep, or one run
	Words    []string // for this executable, to make it a worker; nil: worker
	Device   string   // trainer.Auto if empty
	Out, Err io.Writer
}

// Do starts the worker, says how many runs it has and returns the exit code: Failed if
// there is none.
func (r StartRuns) Do(ctx context.Context) int {
	if ctx.Err() != nil {
		say(r.Err, "interrupted")
		return Failed
	}
	list, err := runsBelow(r.Dir)
	if err != nil {
		say(r.Err, err.Error())
		return Environment
	}
	code, taken, alive := OK, 0, 0
	for _, s := range list {
		switch state := stateOf(s); state {
		case unreadable:
			say(r.Err, s.Dir+": "+s.Problem)
			code = worse(code, Failed)
		case rundir.Stopped, rundir.Failed, rundir.Interrupted:
			if err := trainer.Again(s.Dir); err != nil {
				say(r.Err, err.Error())
				code = worse(code, Failed)
				continue
			}
			taken++
		case rundir.Queued:
			taken++
		case rundir.Running, rundir.Paused:
			alive++
		}
	}
	if taken == 0 {
		why := "every run is over"
		switch {
		case len(list) == 0:
			why = "there are no runs in " + r.Dir
		case code != OK:
			why = "no run could be taken up"
		case alive > 0:
			why = number.Plural(alive, "run trains or is paused", "runs train or are paused") + " already"
		}
		say(r.Err, "nothing to start: "+why)
		return Failed
	}
	if err := r.launch(ctx); err != nil {
		say(r.Err, err.Error())
		return Environment
	}
	fmt.Fprintf(r.Out, "%s started in the background\n", number.Plural(taken, "run", "runs"))
	return code
}

func (r StartRuns) launch(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	words := r.Words
	if words == nil {
		words = []string{"worker"}
	}
	ctx, cancel := context.WithTimeout(ctx, launchTime)
	defer cancel()
	return trainer.Launch(ctx, exe, words, r.Device, absolute(r.Dir))
}

// runsBelow lists the runs of a folder, those of a sweep together.
func runsBelow(root string) ([]rundir.Summary, error) {
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no folder %s", root)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is not a folder", root)
	}
	if _, err := os.ReadDir(root); err != nil {
		return nil, err
	}
	list := rundir.List(root)
	slices.SortStableFunc(list, func(a, b rundir.Summary) int {
		return cmp.Compare(filepath.Dir(absolute(a.Dir)), filepath.Dir(absolute(b.Dir)))
	})
	return list, nil
}

// absolute makes a path comparable, and no flag for the program it is passed to.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func stateOf(s rundir.Summary) rundir.State {
	switch {
	case s.Problem != "":
		return unreadable
	case !s.Started:
		return rundir.Queued
	}
	return s.Status.State
}

func stepsOf(s rundir.Summary) int64 {
	if s.Status.Steps == 0 && s.Problem == "" && s.Config.Validate() == nil {
		return s.Config.Steps()
	}
	return s.Status.Steps
}

// runObject is a run of the JSON array.
type runObject struct {
	Sweep      string       `json:"sweep"`
	Name       string       `json:"name"`
	Dir        string       `json:"dir"`
	State      rundir.State `json:"state"`
	Stale      bool         `json:"stale"`
	LR         *float64     `json:"lr"`
	Step       int64        `json:"step"`
	Steps      int64        `json:"steps"`
	Tokens     int64        `json:"tokens"`
	Loss       *float64     `json:"loss"`
	Val        *float64     `json:"val_loss"`
	ValSE      *float64     `json:"val_se"`
	Rate       *float64     `json:"tokens_per_s"`
	Elapsed    *float64     `json:"elapsed_s"`
	Checkpoint int64        `json:"checkpoint"`
	Resumable  bool         `json:"resumable"`
	Reason     string       `json:"reason"`
	Problem    string       `json:"problem"`
}

func objectOf(s rundir.Summary) runObject {
	st := s.Status
	return runObject{
		Sweep: s.Sweep, Name: s.Name, Dir: s.Dir, State: stateOf(s), Stale: s.Stale, LR: measured(rundir.Number(s.Config.LR)),
		Step: st.Step, Steps: stepsOf(s), Tokens: st.Tokens, Loss: measured(st.Loss), Val: measured(st.Val), ValSE: measured(st.ValSE),
		Rate: measured(st.Rate), Elapsed: measured(st.Elapsed), Checkpoint: st.Checkpoint, Resumable: st.Resumable,
		Reason: st.Reason, Problem: s.Problem,
	}
}

// measured is nil for a number that a status leaves out or that JSON cannot carry.
func measured(n rundir.Number) *float64 {
	x := float64(n)
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// writeRuns writes the runs below the names of their sweeps, in columns that line up
// throughout.
func writeRuns(b *bytes.Buffer, list []rundir.Summary) {
	right := [...]bool{false, false, true, true, true, true, false}
	var rows [][len(right)]string
	var widths [len(right)]int
	add := func(cells ...string) {
		var row [len(right)]string
		for i, c := range cells {
			row[i] = c
			widths[i] = max(widths[i], ansi.StringWidth(c))
		}
		rows = append(rows, row)
	}
	sweep := ""
	for i, s := range list {
		if at := filepath.Dir(absolute(s.Dir)); i == 0 || at != sweep {
			sweep = at
			if i > 0 {
				add()
			}
			add(export.Clean(s.Sweep), "state", "step", "val loss", "tokens/s", "elapsed", "reason")
		}
		state := string(stateOf(s))
		if s.Stale {
			state += " (stale)"
		}
		reason := s.Problem
		if reason == "" {
			reason = s.Status.Reason
		}
		add("  "+export.Clean(s.Name), export.Clean(state), stepText(s), valText(s.Status), rateText(s.Status.Rate),
			elapsedText(s.Status.Elapsed), export.Clean(reason))
	}
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			fill := strings.Repeat(" ", widths[i]-ansi.StringWidth(c))
			if right[i] {
				c, fill = fill, c
			}
			line.WriteString(c + fill + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func stepText(s rundir.Summary) string {
	if s.Problem != "" && !s.Started {
		return number.Unknown
	}
	return number.Count(int(s.Status.Step)) + "/" + number.Count(int(stepsOf(s)))
}

func valText(s rundir.Status) string {
	if s.Val == 0 {
		return number.Unknown
	}
	text := number.Loss(float64(s.Val))
	if se := measured(s.ValSE); se != nil && *se > 0 {
		spread := number.Fixed(*se, 4)
		if *se < 5e-5 || math.Abs(float64(s.Val)) < 0.1 {
			spread = number.Sig(*se, 2)
		}
		text += " ± " + spread
	}
	return text
}

func rateText(n rundir.Number) string {
	if x := measured(n); x != nil {
		return number.SI(*x)
	}
	return number.Unknown
}

func elapsedText(n rundir.Number) string {
	x := measured(n)
	if x == nil || math.Abs(*x) > math.MaxInt64/float64(time.Second)/2 {
		return number.Unknown
	}
	d := time.Duration(*x * float64(time.Second))
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
