package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session/command"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/rundir"
)

// atStart are placeholders that only the start of a command knows.
var atStart = []string{"run", "gpu", "port"}

// written writes a value as other programs read it: whole numbers in digits.
func written(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// commandWords splits the parameters that are command lines.
func (c *Call) commandWords(name string) ([]string, error) {
	words, err := command.Split(c.Text(name))
	if err != nil {
		return nil, errParam{name, fmt.Errorf("%s: %w", name, err)}
	}
	return words, nil
}

// commands lists the runs that the statement asks another program for.
func (c *Call) commands() ([]*rundir.Command, error) {
	args, err := c.commandWords("command")
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errParam{"command", errors.New("the command is empty")}
	}
	resume, err := c.commandWords("resume")
	if err != nil {
		return nil, err
	}
	env, err := c.commandWords("env")
	if err != nil {
		return nil, err
	}
	fields := command.Fields(slices.Concat(args, resume, env, []string{c.Text("log")}))
	fields = slices.DeleteFunc(fields, func(f string) bool { return slices.Contains(atStart, f) })
	if !slices.Contains(fields, "lr") {
		return nil, errParam{"command", hinted{errors.New("the command has no {lr}: every run would train the same"), `as in command="python train.py --lr {lr}"`}}
	}
	if i := slices.Index(fields, "steps"); i >= 0 {
		if !c.Given("batch") || !c.Given("tokens") {
			return nil, errParam{"command", hinted{errors.New("the command takes {steps}, which are tokens over batch"), "say tokens= and batch="}}
		}
		if fields = slices.Delete(fields, i, i+1); !slices.Contains(fields, "tokens") {
			fields = append(fields, "tokens")
		}
	}
	grid, err := c.commandGrid(fields)
	if err != nil {
		return nil, err
	}
	folder := c.Dir
	if c.Given("folder") {
		folder = c.path(c.Text("folder"))
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, errParam{"folder", fmt.Errorf("there is no folder %q to run the command in", c.Text("folder"))}
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, err
	}
	var out []*rundir.Command
	for _, values := range grid {
		texts := map[string]string{}
		r := &rundir.Command{
			Folder: folder, Values: values, Retries: int(c.Number("retries")), Slots: int(c.Number("slots")), Silence: 60 * c.Number("silence"),
		}
		for _, v := range values {
			texts[v.Name] = written(v.V)
		}
		r.Tokens = r.Value("tokens")
		if c.Given("batch") {
			r.Batch = c.Number("batch")
			texts["steps"] = written(math.Round(r.Tokens / r.Batch))
		}
		r.Args, r.Resume, r.Env = command.Fill(args, texts), command.Fill(resume, texts), command.Fill(env, texts)
		r.Log = command.Fill([]string{c.Text("log")}, texts)[0]
		if r.Tokens == 0 && len(c.numbers("tokens")) == 1 {
			r.Tokens = c.numbers("tokens")[0]
		}
		if err := r.Validate(); err != nil {
			return nil, errParam{"command", err}
		}
		out = append(out, r)
	}
	return out, nil
}

// commandGrid is every combination of the values that the placeholders stand for. What
// the statement gives and the command does not take would be lost.
func (c *Call) commandGrid(fields []string) ([][]rundir.Value, error) {
	grid := [][]rundir.Value{nil}
	// The learning rate turns fastest: runs that are compared stand together.
	slices.SortStableFunc(fields, func(a, b string) int { return btoi(a == "lr") - btoi(b == "lr") })
	for _, name := range fields {
		var values []float64
		switch {
		case name == "seed":
			for seed := range int(c.Number("seeds")) {
				values = append(values, float64(seed))
			}
		case !slices.ContainsFunc(sweepVerb().Params, func(p Param) bool { return p.Name == name && p.Number != nil }):
			return nil, errParam{"command", hinted{fmt.Errorf("{%s} stands for no parameter of sweep", name), "there are {lr}, {tokens}, {d_model}, {layers}, {batch}, {seed}, …; {run}, {gpu} and {port} are filled in at the start"}}
		case !c.Given(name):
			return nil, errParam{"command", hinted{fmt.Errorf("the command takes {%s}, which is not given", name), fmt.Sprintf("say %s=", name)}}
		default:
			values = c.numbers(name)
		}
		if len(grid)*len(values) > maxRuns {
			return nil, hinted{fmt.Errorf("this is more than %d runs", maxRuns), "fewer values"}
		}
		var next [][]rundir.Value
		for _, g := range grid {
			for _, v := range values {
				next = append(next, append(slices.Clone(g), rundir.Value{Name: name, V: v}))
			}
		}
		grid = next
	}
	for _, name := range []string{"d_model", "lr", "tokens", "layers"} {
		if c.Given(name) && !slices.Contains(fields, name) && (name != "tokens" || len(c.numbers(name)) > 1) {
			return nil, errParam{name, fmt.Errorf("%s= is given, and the command has no {%s} to take it", name, name)}
		}
	}
	return grid, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// commandName names the folder of a sweep of commands.
func commandName(runs []*rundir.Command) string {
	h := sha256.New()
	for _, r := range runs {
		fmt.Fprintln(h, r.Hash())
	}
	return fmt.Sprintf("command-%x", h.Sum(nil)[:5])
}

// findCommand looks at the run of a command where the sweep has it, or where another had it.
func findCommand(root, sweep string, r *rundir.Command) rundir.Summary {
	found := rundir.Read(filepath.Join(root, sweep, r.Name()))
	if found.Problem != "" || !found.Started {
		if elsewhere, ok := rundir.FindCommand(root, r); ok {
			return elsewhere
		}
	}
	return found
}

// commandPrint changes when the status of a run does.
func (c *Call) commandPrint() string {
	runs, err := c.commands()
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	for _, r := range runs {
		info, err := os.Stat(filepath.Join(findCommand(c.runsRoot(), commandName(runs), r).Dir, "status.json"))
		if err == nil {
			fmt.Fprintf(h, "%d %d ", info.Size(), info.ModTime().UnixNano())
		} else {
			fmt.Fprint(h, "- ")
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12])
}

// commandSweep is the sweep of a command: its runs and what became of them.
func (c *Call) commandSweep() (Value, error) {
	asked, err := c.commands()
	if err != nil {
		return nil, err
	}
	name := commandName(asked)
	s := Sweep{Dir: filepath.Join(c.runsRoot(), name), Device: trainer.CPU, commands: asked}
	for _, r := range asked {
		found := findCommand(c.runsRoot(), name, r)
		found.Command = r
		if found.Name == "" || !found.Started {
			found.Name = r.Name()
		}
		s.Runs = append(s.Runs, commandRun(found))
		s.Cost.Runs++
		s.Cost.Tokens += r.Tokens
	}
	s.Table = commandTable(s.Runs, asked)
	s.Facts.Description = strings.Join(asked[0].Args, " ")
	return s.settle(c)
}

// askCommands makes the run directories of a sweep of commands; what is over is left as
// it is.
func (s Sweep) askCommands() ([]string, error) {
	var dirs []string
	for i, r := range s.commands {
		switch st := s.Runs[i].Status.State; st {
		case rundir.Finished, rundir.Diverged:
			continue
		}
		if dir := s.Runs[i].Dir; dir != "" {
			dirs = append(dirs, dir)
			continue
		}
		w, fresh, err := rundir.CreateCommand(filepath.Dir(s.Dir), filepath.Base(s.Dir), *r)
		if err != nil {
			return dirs, err
		}
		if fresh {
			err = w.SetStatus(rundir.Status{State: rundir.Queued, Resumable: true})
		}
		if err := errors.Join(err, w.Close()); err != nil {
			return dirs, err
		}
		dirs = append(dirs, w.Dir())
	}
	return dirs, nil
}
