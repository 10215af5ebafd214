package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

var errFull = errors.New("no space left on device")

// Whatever step fails, the old text or the new one is there, whole, and nothing
// is left beside it.
func TestFailureAtEveryStage(t *testing.T) {
	for _, stage := range []string{"create", "write", "sync", "rename", "renamed"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "status.json")
		if err := Write(path, []byte("old"), nil); err != nil {
			t.Fatal(err)
		}
		err := Write(path, []byte("new"), func(s string) error {
			if s == stage {
				return errFull
			}
			return nil
		})
		if !errors.Is(err, errFull) {
			t.Fatalf("%s: %v", stage, err)
		}
		want := "old"
		if stage == "renamed" {
			want = "new"
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("%s: %q, want %q", stage, got, want)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: left %v", stage, left)
		}
	}
}

func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := Write(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("a new file has mode %v", info.Mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("a replaced file has mode %v", info.Mode())
	}
	if err := Write(filepath.Dir(path), nil, nil); err == nil {
		t.Error("a folder was replaced")
	}
}
