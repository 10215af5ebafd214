package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etastar/etastar/session/notebook"
	"github.com/etastar/etastar/trainer/atomicfile"
)

// maxNotebook bounds what is read as a notebook: a data file opened by mistake is refused.
const maxNotebook = 16 << 20

// fileState is where the notebook stands with the disk.
type fileState struct {
	path      string
	disk      string // text that was last read from or written to path
	exists    bool   // path existed then
	edited    time.Time
	conflict  bool
	recovered bool
	err       string
	journal   string // text in the recovery file; "" when there is none
}

// File says where the notebook stands with the disk.
type File struct {
	Path      string
	Saved     bool   // the disk holds the present text
	Conflict  bool   // the file changed on disk since it was read: Reload or Overwrite
	Recovered bool   // a killed session left work that was not saved; it is in force, Reload drops it
	Err       string // why saving failed; the work is in the recovery file
	Example   bool   // the built-in example
}

// File returns the file's state.
func (s *Session) File() File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.file
	return File{
		Path: f.path, Saved: s.doc.String() == f.disk, Conflict: f.conflict,
		Recovered: f.recovered, Err: f.err, Example: s.options.Example,
	}
}

// open reads the notebook, and the work a killed session left beside it.
func (s *Session) open(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("open %q: %w", path, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real // saving replaces the file itself, not the link
	}
	s.file.path = abs
	text, exists, err := readNotebook(abs)
	if err != nil {
		return err
	}
	if !exists && !s.options.Interactive {
		return noNotebook(path)
	}
	s.file.disk, s.file.exists = text, exists
	s.doc = notebook.Parse(text)
	if !s.options.Interactive {
		return nil
	}
	// An unreadable recovery file must not keep the notebook closed.
	saved, found, _ := readNotebook(s.recoveryPath())
	if !found {
		return nil
	}
	if saved == text {
		s.dropRecovery()
		return nil
	}
	s.undo.back = append(s.undo.back, step{text: text, label: "recovery of unsaved work"})
	s.doc = notebook.Parse(saved)
	s.file.recovered, s.file.journal = true, saved
	return nil
}

// noNotebook says that a notebook is missing.
func noNotebook(path string) error {
	return fmt.Errorf("open %s: there is no such notebook; start one with: etastar %s", path, path)
}

// readNotebook reads a notebook; exists is false when there is none at path.
func readNotebook(path string) (text string, exists bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("open notebook: %w", err)
	}
	switch {
	case info.IsDir():
		return "", false, fmt.Errorf("open %s: it is a folder; name a notebook inside it, for example %s", path, filepath.Join(path, "sweep.md"))
	case !info.Mode().IsRegular():
		return "", false, fmt.Errorf("open %s: not a regular file", path)
	case info.Size() > maxNotebook:
		return "", false, fmt.Errorf("open %s: %d MB is no notebook; read data from inside one: load %q", path, info.Size()>>20, filepath.Base(path))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("open notebook: %w", err)
	}
	if strings.ContainsRune(string(b), 0) {
		return "", false, fmt.Errorf("open %s: it is a binary file, not a notebook", path)
	}
	return string(b), true, nil
}

// recoveryPath is where unsaved work goes that must not touch the notebook itself.
func (s *Session) recoveryPath() string {
	dir, base := filepath.Split(s.file.path)
	return filepath.Join(dir, "."+base+".etastar-recovery")
}

func (s *Session) dropRecovery() {
	if s.file.journal != "" || s.file.recovered {
		_ = os.Remove(s.recoveryPath())
	}
	s.file.journal, s.file.recovered = "", false
}

// Save writes the notebook now, unless it changed on disk meanwhile: then the work
// goes to the recovery file and the conflict shows in File.
func (s *Session) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveLocked()
}

func (s *Session) saveLocked() error {
	if s.options.ReadOnly {
		return nil
	}
	text := s.doc.String()
	if text == s.file.disk && !s.file.conflict {
		s.file.err = ""
		s.dropRecovery()
		return nil
	}
	s.lookLocked()
	if s.file.conflict {
		return s.journalLocked(text, fmt.Errorf("%s changed on disk: reload it or overwrite it", filepath.Base(s.file.path)))
	}
	if err := atomicfile.Write(s.file.path, []byte(text), nil); err != nil {
		return s.journalLocked(text, err)
	}
	s.file.disk, s.file.exists, s.file.err = text, true, ""
	s.dropRecovery()
	s.version++
	s.notify()
	return nil
}

// journalLocked keeps work that cannot be saved in the recovery file and returns cause.
func (s *Session) journalLocked(text string, cause error) error {
	s.file.err = cause.Error()
	if text == s.file.journal {
		return cause
	}
	if err := atomicfile.Write(s.recoveryPath(), []byte(text), nil); err != nil {
		s.file.err = fmt.Sprintf("%v; and the recovery file failed: %v", cause, err)
		return errors.Join(cause, err)
	}
	s.file.journal = text
	s.notify()
	return cause
}

// lookLocked notices whether the notebook changed on disk. A change to the text
// we hold ourselves is none.
func (s *Session) lookLocked() {
	text, exists, err := readNotebook(s.file.path)
	if err != nil || exists == s.file.exists && text == s.file.disk {
		if err == nil && s.file.conflict {
			s.file.conflict = false
			s.file.err = ""
			s.notify()
		}
		return
	}
	switch {
	case !exists:
		// Deleted under us: our text is the only copy, the next save writes it.
		s.file.exists, s.file.disk = false, ""
	case text == s.doc.String():
		s.file.exists, s.file.disk, s.file.conflict = true, text, false
	default:
		s.file.conflict = true
	}
	s.version++
	s.notify()
}

// Reload takes the text on disk; it is an edit like any other and can be undone.
func (s *Session) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, exists, err := readNotebook(s.file.path)
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("%s is gone from the disk; save to write it again", filepath.Base(s.file.path))
	}
	s.file.disk, s.file.exists, s.file.conflict, s.file.err = text, true, false, ""
	s.editLocked("reload", "", func(d *notebook.Document) { *d = *notebook.Parse(text) })
	s.dropRecovery()
	return nil
}

// Overwrite saves our text over the one that changed on disk.
func (s *Session) Overwrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, exists, err := readNotebook(s.file.path)
	if err != nil {
		return err
	}
	s.file.disk, s.file.exists, s.file.conflict = text, exists, false
	return s.saveLocked()
}

// SaveAs moves the notebook to path and saves it there. It does not replace a file.
func (s *Session) SaveAs(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("save as %q: %w", path, err)
	}
	if _, err := os.Lstat(abs); err == nil {
		return fmt.Errorf("save as %s: it exists; choose another name", path)
	}
	if err := atomicfile.Write(abs, []byte(s.doc.String()), nil); err != nil {
		return err
	}
	s.dropRecovery()
	s.file = fileState{path: abs, disk: s.doc.String(), exists: true}
	s.options.Example = false
	s.replan()
	return nil
}

// saveDelay is how long a burst of edits may go on before it is saved: what a
// killed program loses at most stays under a second.
const saveDelay = 400 * time.Millisecond

// keep saves an interactive notebook shortly after each edit and draws its
// pictures to files when nothing computes. It ends when Close stops it.
func (s *Session) keep() {
	defer s.running.Done()
	tick := time.NewTicker(saveDelay / 2)
	defer tick.Stop()
	var first time.Time // the oldest edit not yet saved
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		dirty := s.doc.String() != s.file.disk
		if s.file.err != "" || s.file.conflict {
			dirty = s.doc.String() != s.file.journal
		}
		switch {
		case !dirty:
			first = time.Time{}
		case first.IsZero():
			first = time.Now()
		case time.Since(first) >= saveDelay:
			_ = s.saveLocked() // the error is in File
			first = time.Time{}
		}
		s.mu.Unlock()
		_ = s.DrawPictures() // the error shows on the statement
	}
}

// Poll looks at the disk: the notebook and every file a cell read. Call it about once a second.
func (s *Session) Poll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.options.Interactive {
		s.lookLocked()
	}
	for _, n := range s.graph.order {
		if f := n.bound.verb.fingerprint; f != nil && f(n.call(s.dir())) != n.print {
			s.replan()
			return
		}
	}
}
