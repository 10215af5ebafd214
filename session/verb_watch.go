package session

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/trainer/rundir"
)

func trainVerb() *Verb {
	v := sweepVerb()
	v.Name = "train"
	v.Summary = "train one proxy model on this machine"
	v.Doc = "A sweep with one learning rate; see sweep."
	v.Example = `target_run = train d_model=192 lr=2e-3 tokens=205k`
	return v
}

func watchVerb() *Verb {
	return &Verb{
		Name:    "watch",
		Summary: "follow runs that something else started",
		Doc: "Takes a run directory, a sweep's folder or a folder of sweeps, and shows the runs in it while they train, whoever started them. " +
			"Any other folder of runs, or a log, is followed as load reads it: W&B, TensorBoard, MLflow, trainer logs. It is looked at without a word to the " +
			"programs that write it, also on network file systems, with at most a hundredth of a core. A run that goes on has no loss yet. " +
			"The result is a table like that of sweep.",
		Example: `others = watch "runs"`,
		Result:  "sweep",
		Params:  []Param{{Name: "folder", Doc: "where the runs are, or a log, from the notebook's folder", File: true, Position: true, Required: true}},
		fingerprint: func(c *Call) string {
			h := sha256.New()
			path := c.path(c.Text("folder"))
			list := rundir.List(path)
			if len(list) == 0 {
				return foreignPrint(c, path)
			}
			for _, s := range list {
				info, err := os.Stat(filepath.Join(s.Dir, "status.json"))
				if err == nil {
					fmt.Fprintf(h, "%s %d ", s.Name, info.ModTime().UnixNano())
				}
			}
			return fmt.Sprintf("%x", h.Sum(nil)[:12])
		},
		run: runWatch,
	}
}

func runWatch(c *Call) (Value, error) {
	dir := c.path(c.Text("folder"))
	if _, err := os.Stat(dir); err != nil {
		return nil, errParam{"folder", hinted{fmt.Errorf("watch %q: there is no such folder or log", c.Text("folder")), nearFiles(c.Dir, c.Text("folder"))}}
	}
	list := rundir.List(dir)
	if len(list) == 0 {
		return watchForeign(c, dir, c.Text("folder"))
	}
	if slices.ContainsFunc(list, func(r rundir.Summary) bool { return r.Command != nil }) {
		return watchCommands(c, dir, list)
	}
	s := Sweep{Dir: dir, Watched: true}
	var unread []string
	names := map[string]bool{}
	for _, r := range list {
		switch {
		case r.Newer > 0:
			unread = append(unread, newer(r))
			continue
		case r.Problem != "":
			unread = append(unread, r.Name+": "+r.Problem)
			continue
		}
		run := SweepRun{Config: r.Config, Dir: r.Dir, Status: r.Status, Stale: r.Stale}
		run.readCurve()
		s.Runs = append(s.Runs, run)
		s.Cost.Runs++
		tokens := newTokens(r.Config)
		s.Cost.Tokens += tokens
		s.Cost.FLOPs += tokens * r.Config.Shape.FLOPs().Compute
		names[filepath.Base(r.Config.Data.Source)] = true
	}
	if len(s.Runs) == 0 {
		return nil, errParam{"folder", hinted{fmt.Errorf("watch %q: no runs are in it", c.Text("folder")), strings.Join(unread, "; ")}}
	}
	for name := range names {
		s.Facts.Description = name
		if len(names) > 1 {
			s.Facts.Description = fmt.Sprintf("%d corpora", len(names))
		}
	}
	c.Note(unread...)
	return s.settle(c)
}

// watchCommands shows the runs of commands of another notebook.
func watchCommands(c *Call, dir string, list []rundir.Summary) (Value, error) {
	s := Sweep{Dir: dir, Watched: true}
	var commands []*rundir.Command
	for _, r := range list {
		if r.Command == nil || r.Problem != "" {
			c.Note(fmt.Sprintf("%s is left out: it is no run of a command, or cannot be read %s", r.Name, r.Problem))
			continue
		}
		commands = append(commands, r.Command)
		s.Runs = append(s.Runs, commandRun(r))
		s.Cost.Runs++
	}
	s.Table = commandTable(s.Runs, commands)
	s.Facts.Description = filepath.Base(dir)
	return s.settle(c)
}
