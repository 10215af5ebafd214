package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openFile(t *testing.T, path string) *Session {
	t.Helper()
	s, err := Open(path, Options{Interactive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits for what a background goroutine does shortly.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestSavesByItself(t *testing.T) {
	path := notebookIn(t, folder(t), smallNotebook)
	s := openFile(t, path)
	if !s.File().Saved {
		t.Error("a notebook just opened counts as unsaved")
	}
	if err := s.Turn(cell(t, s, "curves").Line, "window", 1, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edit is on disk", func() bool { return strings.Contains(read(t, path), "window=3") })
	eventually(t, "the screen says so", func() bool { return s.File().Saved })
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("saving changed the mode to %v", info.Mode())
	}
}

func TestNewNotebookIsPrivate(t *testing.T) {
	path := filepath.Join(folder(t), "new.md")
	s := openFile(t, path)
	s.InsertStatement(-1, `note "x"`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLooksButNeverWrites(t *testing.T) {
	path := filepath.Join(folder(t), "new.md")
	s := openFile(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening and closing an absent notebook wrote it: %v", err)
	}
}

// TestConflict: a file changed by an editor is never overwritten in silence, and
// neither side's work is lost.
func TestConflict(t *testing.T) {
	path := notebookIn(t, folder(t), smallNotebook)
	s := openFile(t, path)
	theirs := smallNotebook + "\ntheirs\n"
	if err := os.WriteFile(path, []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	s.InsertStatement(-1, `ours = note "ours"`)
	eventually(t, "the conflict shows", func() bool { return s.File().Conflict })
	recovery := s.recoveryPath()
	eventually(t, "our work is in the recovery file", func() bool {
		b, err := os.ReadFile(recovery)
		return err == nil && strings.Contains(string(b), "ours")
	})
	if read(t, path) != theirs {
		t.Fatal("their work was overwritten")
	}
	if err := s.Close(); err == nil {
		t.Error("closing in a conflict says nothing")
	}
	if read(t, path) != theirs {
		t.Fatal("their work was overwritten on closing")
	}

	again := openFile(t, path)
	if f := again.File(); !f.Recovered || !strings.Contains(again.Text(), "ours") {
		t.Fatalf("recovered %v: %q", f.Recovered, again.Text())
	}
	if err := again.Reload(); err != nil {
		t.Fatal(err)
	}
	if again.Text() != theirs || again.File().Recovered {
		t.Errorf("reloaded: %q", again.Text())
	}
	if again.Undo() != "reload" || !strings.Contains(again.Text(), "ours") {
		t.Errorf("reload cannot be undone: %q", again.Text())
	}
	if err := again.Overwrite(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, path), "ours") {
		t.Error("overwrite did not write")
	}
	if _, err := os.Stat(recovery); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the recovery file stays behind")
	}
}

// TestKilled: a session that never closes has its work on disk within a second of the edit.
func TestKilled(t *testing.T) {
	path := notebookIn(t, folder(t), smallNotebook)
	s := openFile(t, path)
	start := time.Now()
	s.InsertStatement(-1, `late = note "late"`)
	eventually(t, "saved", func() bool { return strings.Contains(read(t, path), "late") })
	t.Logf("on disk after %v", time.Since(start))
	other, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	settle(t, other)
	if cell(t, other, "late").Status != Done {
		t.Error("the work of the killed session is not there")
	}
}

func TestSaveFails(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "sub", "nb.md")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := openFile(t, path)
	s.InsertStatement(-1, `note "x"`)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(); err == nil || s.File().Err == "" || s.File().Saved {
		t.Errorf("saving into a folder that is gone: %v, %+v", err, s.File())
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(); err != nil || s.File().Err != "" {
		t.Errorf("the folder is back: %v", err)
	}
}

func TestSaveThroughLink(t *testing.T) {
	dir := folder(t)
	path := notebookIn(t, dir, smallNotebook)
	link := filepath.Join(dir, "link.md")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s := openFile(t, link)
	s.InsertStatement(-1, `note "x"`)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 || !strings.Contains(read(t, path), `note "x"`) {
		t.Error("saving replaced the link instead of the file")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "bin.md")
	if err := os.WriteFile(binary, []byte("a\x00b"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "folder", binary: "binary", filepath.Join(binary, "x.md"): "not a directory"} {
		if _, err := Open(path, Options{Interactive: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.md"), Options{}); err == nil || !strings.Contains(err.Error(), "no such notebook") {
		t.Errorf("missing notebook, headless: %v", err)
	}
}

func TestSaveAs(t *testing.T) {
	dir := folder(t)
	s := openFile(t, notebookIn(t, dir, smallNotebook))
	if err := s.SaveAs(filepath.Join(dir, "sweep.csv")); err == nil {
		t.Error("replaced a file")
	}
	path := filepath.Join(dir, "copy.md")
	if err := s.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	if read(t, path) != smallNotebook || s.File().Path != path || !s.File().Saved {
		t.Errorf("%+v", s.File())
	}
}

func TestPlotWritesItsFileWhenQuiet(t *testing.T) {
	dir := folder(t)
	s := openFile(t, notebookIn(t, dir, smallNotebook+"\n```eta\nplot law \"law.svg\" target=target\n```\n"))
	path := filepath.Join(dir, "law.svg")
	svg := func() string { b, _ := os.ReadFile(path); return string(b) }
	eventually(t, "the picture is written", func() bool { return strings.Contains(svg(), "<svg") })
	first := svg()
	if err := s.SetParam(cell(t, s, "target").Line, "N", "10B"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the picture follows the notebook", func() bool { return svg() != first })
}
