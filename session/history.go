package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/trainer/atomicfile"
)

// maxHistory is how many lines of the prompt are remembered.
const maxHistory = 1000

// historyPath is where the prompt's lines are kept from one program to the next.
func historyPath() string { return filepath.Join(StateDir(), "history") }

// ReadHistory returns what was typed in the prompt before, the latest line last.
func ReadHistory() []string {
	b, err := os.ReadFile(historyPath())
	if err != nil {
		return nil // nothing that anybody waits for
	}
	lines := strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
	return lines[max(0, len(lines)-maxHistory):]
}

// AddHistory remembers lines of the prompt beside those that other programs added.
func AddHistory(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	if err := os.MkdirAll(StateDir(), 0o700); err != nil {
		return fmt.Errorf("keep the prompt's history: %w", err)
	}
	if info, err := os.Stat(historyPath()); err == nil && info.Size() > 1<<20 || errors.Is(err, fs.ErrNotExist) {
		all := append(ReadHistory(), lines...)
		return atomicfile.Write(historyPath(), []byte(strings.Join(all, "\n")+"\n"), nil)
	}
	f, err := os.OpenFile(historyPath(), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the prompt's history: %w", err)
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}
