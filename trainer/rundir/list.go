package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/trainer/config"
)

// Summary is what a reader finds out about a run. It never comes with an error of its
// own: what cannot be read says so in Problem.
type Summary struct {
	Dir     string
	Sweep   string
	Name    string
	Config  config.Run
	Command *Command // of a run that another program trains; Config is empty then
	Status  Status   // settled: see Status.Settle
	Started bool     // there is a status
	Stale   bool     // said to be alive, and not heard of for StaleAfter
	Newer   int      // format version, when it is newer than this program's
	Unknown []string
	Problem string // why the run cannot be read; "" when it can
}

// Read looks at one run directory.
func Read(dir string) Summary { return read(dir, time.Now()) }

func read(dir string, now time.Time) Summary {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	s := Summary{Dir: dir, Name: filepath.Base(abs), Sweep: filepath.Base(filepath.Dir(abs))}
	var newer *config.NewerError
	asked, err := readAsked(dir)
	s.Config, s.Command, s.Unknown = asked.config, asked.command, asked.unknown
	switch {
	case errors.As(err, &newer):
		s.Newer, s.Problem = newer.Version, fmt.Sprintf("newer version (%d): update etastar to read it", newer.Version)
	case err != nil:
		s.Problem = err.Error()
	}
	status, ok := readStatus(dir)
	if !ok {
		return s
	}
	s.Started = true
	s.Status, s.Stale = status.Settle(now)
	if s.Status.State == Interrupted {
		_, s.Status.Resumable = Latest(dir)
		s.Status.Resumable = s.Status.Resumable || s.Command != nil
	}
	return s
}

// listDepth is how deep below a folder runs are looked for: a folder of sweeps, a
// sweep, or a run.
const listDepth = 2

// List finds the runs in and below a folder (the folder of all sweeps, a sweep or one
// run), in the order of their names. A folder that is not there has none.
func List(root string) []Summary {
	var out []Summary
	now := time.Now()
	walk(root, listDepth, func(dir string) { out = append(out, read(dir, now)) })
	return out
}

func walk(dir string, depth int, found func(dir string)) {
	for _, name := range []string{runFile, eventsFile, statusFile} { // any of them: run.json may be lost
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			found(dir)
			return
		}
	}
	if depth == 0 {
		return
	}
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if name := e.Name(); name[0] != '.' && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			walk(filepath.Join(dir, name), depth-1, found)
		}
	}
}

// Find looks for the run of a config in any sweep below root; ok is false when it was
// never asked for.
func Find(root string, c config.Run) (s Summary, ok bool) {
	name, hash := c.Name(), c.Hash()
	list, _ := os.ReadDir(root)
	for _, e := range list {
		dir := filepath.Join(root, e.Name(), name)
		if _, err := os.Stat(filepath.Join(dir, runFile)); err != nil {
			continue
		}
		if s := Read(dir); s.Problem == "" && s.Command == nil && s.Config.Hash() == hash {
			return s, true
		}
	}
	return Summary{}, false
}
