// Package atomicfile writes files that are either there whole or not at all:
// written aside in the same folder, flushed to the disk, renamed.
//
// It knows nothing of what the files hold.
package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Hook is called between the steps of a write ("create", "write", "sync",
// "rename", "renamed"); an error ends the write there. Tests use it as the disk
// that fills up and as the kill between two steps; nil does nothing.
type Hook func(stage string) error

// File is a file being written aside. Exactly one of Commit and Abort ends it;
// Abort after Commit does nothing, so it can be deferred.
type File struct {
	*os.File
	path string
	hook Hook
	done bool
}

// Create starts a file that will stand at path, readable by its owner alone
// unless one is there already, whose mode it keeps.
func Create(path string, hook Hook) (*File, error) {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("write %s: not a regular file", path)
		}
		mode = info.Mode().Perm()
	}
	if err := hook.at("create"); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), TempPattern(path))
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	a := &File{File: f, path: path, hook: hook}
	if err := f.Chmod(mode); err != nil {
		a.Abort()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return a, nil
}

// TempPattern is the pattern of the names under which path is written aside: what
// a killed program leaves behind matches it.
func TempPattern(path string) string { return "." + filepath.Base(path) + ".*.tmp" }

// Commit makes the file appear at its path.
func (f *File) Commit() (err error) {
	if f.done {
		return fmt.Errorf("write %s: already ended", f.path)
	}
	defer func() {
		if err != nil {
			f.Abort()
			err = fmt.Errorf("write %s: %w", f.path, err)
		}
	}()
	if err := f.hook.at("sync"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.hook.at("rename"); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	SyncDir(filepath.Dir(f.path))
	return f.hook.at("renamed")
}

// Abort removes what was written aside.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// Write replaces path by data.
func Write(path string, data []byte, hook Hook) error {
	f, err := Create(path, hook)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := hook.at("write"); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// SyncDir flushes a folder's names to the disk. Some file systems refuse; what
// was done stays done, so that is no error.
func SyncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

func (h Hook) at(stage string) error {
	if h == nil {
		return nil
	}
	return h(stage)
}
