// Package example holds the notebooks that show what the program does: the one that
// opens when none is named trains a small sweep on the machine at hand, measured has what
// came out of it elsewhere, gpu a prediction for a larger model and the check of it, width
// how η* moves with width under two parametrizations, and paradigms the contests of Fitting
// and Transfer.
//
// It must not hold anyone's data: the tables are the project's own, trained by it.
package example

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/trainer/atomicfile"
)

//go:embed *.md *.csv
var files embed.FS

// First is the example that opens when no notebook is named.
const First = "example"

// Names lists the examples, First at the head.
func Names() []string {
	names := []string{First}
	list, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	for _, f := range list {
		if name, ok := strings.CutSuffix(f.Name(), ".md"); ok && name != First {
			names = append(names, name)
		}
	}
	return names
}

// Install puts the examples into dir, except what is there already, and returns the path
// of the one named: work done in it stays.
func Install(dir, name string) (string, error) {
	if _, err := files.Open(name + ".md"); err != nil {
		return "", fmt.Errorf("there is no example %q; there are %s", name, strings.Join(Names(), ", "))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("install the examples: %w", err)
	}
	list, err := files.ReadDir(".")
	if err != nil {
		return "", err
	}
	for _, f := range list {
		path := filepath.Join(dir, f.Name())
		if _, err := os.Stat(path); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("install the examples: %w", err)
		}
		text, err := files.ReadFile(f.Name())
		if err == nil {
			err = atomicfile.Write(path, text, nil)
		}
		if err != nil {
			return "", fmt.Errorf("install the examples: %w", err)
		}
	}
	return filepath.Join(dir, name+".md"), nil
}
