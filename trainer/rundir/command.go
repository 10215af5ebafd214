package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/etastar/etastar/trainer/atomicfile"
	"github.com/etastar/etastar/trainer/config"
)

// Command is run.json of a run that another program trains: what is started, and what
// it was told. Such a run has no config.Run.
type Command struct {
	Args   []string `json:"args"`             // the program and its arguments
	Resume []string `json:"resume,omitempty"` // appended where the run goes on from its own checkpoint
	Folder string   `json:"folder"`           // working directory
	Env    []string `json:"env,omitempty"`    // NAME=value, beside the worker's environment
	Log    string   `json:"log,omitempty"`    // the file or folder it logs to; "": what it prints
	// Values are what the placeholders stand for, numbers as they were written out.
	Values []Value `json:"values"`
	// Tokens is the horizon and Batch the tokens of a step, 0 where not known.
	Tokens float64 `json:"tokens,omitzero"`
	Batch  float64 `json:"batch,omitzero"`
	// How it is run; no part of what it trains.
	Retries int     `json:"retries,omitzero"`   // how often a failed run is started again
	Slots   int     `json:"slots,omitzero"`     // how many of the sweep run at once; 0: one a GPU, or one
	Silence float64 `json:"silence_s,omitzero"` // seconds without a word after which it is stopped; 0: never
}

// Value is a placeholder's name and what it stands for.
type Value struct {
	Name string  `json:"name"`
	V    float64 `json:"value"`
}

// Value returns what a placeholder stands for, 0 where there is none.
func (c *Command) Value(name string) float64 {
	for _, v := range c.Values {
		if v.Name == name {
			return v.V
		}
	}
	return 0
}

// Hash is of what is trained: the command, its folder, environment and log.
func (c *Command) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", c.Args, c.Folder, c.Env, c.Log)
	return fmt.Sprintf("%x", h.Sum(nil)[:5])
}

var unplain = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Name names the run's directory by its values and hash.
func (c *Command) Name() string {
	var parts []string
	for _, v := range c.Values {
		parts = append(parts, v.Name+config.ShortLR(v.V))
	}
	name := unplain.ReplaceAllString(strings.Join(parts, "-"), "")
	return strings.TrimLeft(name[:min(len(name), 80)]+"-"+c.Hash(), "-._")
}

// Validate reports what cannot be started.
func (c *Command) Validate() error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return errors.New("the command is empty")
	case slices.ContainsFunc(slices.Concat(c.Args, c.Resume, c.Env), func(s string) bool { return strings.ContainsRune(s, 0) }):
		return errors.New("the command holds a NUL")
	case slices.ContainsFunc(c.Env, func(s string) bool { return strings.IndexByte(s, '=') < 1 }):
		return errors.New("the environment is NAME=value")
	}
	return nil
}

// commandFile is the form of run.json.
type commandFile struct {
	Version int      `json:"version"`
	Command *Command `json:"command"`
}

// decodeCommand reads run.json if it is that of a command.
func decodeCommand(b []byte) (*Command, error) {
	if !bytes.Contains(b, []byte(`"command"`)) {
		return nil, nil
	}
	var f commandFile
	if _ = json.Unmarshal(b, &f); f.Command == nil {
		return nil, nil // config.Decode says what is wrong with it
	}
	if f.Version > config.Version {
		return nil, &config.NewerError{Version: f.Version}
	}
	return f.Command, f.Command.Validate()
}

// CreateCommand makes the directory of a run that another program trains, as Create
// does for one of ours.
func CreateCommand(root, sweep string, c Command) (w *Writer, fresh bool, err error) {
	if err := checkSweep(sweep); err != nil {
		return nil, false, err
	}
	if err := c.Validate(); err != nil {
		return nil, false, fmt.Errorf("run: %w", err)
	}
	dir := filepath.Join(root, sweep, c.Name())
	if err := os.MkdirAll(filepath.Join(dir, checkpointDir), 0o700); err != nil {
		return nil, false, fmt.Errorf("make run directory: %w", err)
	}
	if w, err = locked(dir); err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			_ = w.Close()
		}
	}()
	if _, err := os.Lstat(filepath.Join(dir, runFile)); errors.Is(err, fs.ErrNotExist) {
		text, err := json.MarshalIndent(commandFile{config.Version, &c}, "", "  ")
		if err != nil {
			return nil, false, err
		}
		if err := atomicfile.Write(filepath.Join(dir, runFile), append(text, '\n'), nil); err != nil {
			return nil, false, err
		}
		atomicfile.SyncDir(filepath.Dir(dir))
		fresh = true
	}
	if err := w.begin(); err != nil {
		return nil, false, err
	}
	if w.command == nil || w.command.Hash() != c.Hash() {
		return nil, false, fmt.Errorf("%s holds another run than its name says: move it away", dir)
	}
	return w, fresh, nil
}

// FindCommand looks for the run of a command in any sweep below root.
func FindCommand(root string, c *Command) (s Summary, ok bool) {
	name, hash := c.Name(), c.Hash()
	list, _ := os.ReadDir(root)
	for _, e := range list {
		if s := Read(filepath.Join(root, e.Name(), name)); s.Problem == "" && s.Command != nil && s.Command.Hash() == hash {
			return s, true
		}
	}
	return Summary{}, false
}
