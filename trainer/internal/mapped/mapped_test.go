package mapped

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	mappedFile, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mappedFile.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := &File{path: path, size: 10, f: f}
	defer plain.Close()
	for _, m := range []*File{mappedFile, plain} {
		p := make([]byte, 4)
		if n, err := m.ReadAt(p, 3); n != 4 || err != nil || string(p) != "3456" {
			t.Errorf("%d %v %q", n, err, p)
		}
		if n, err := m.ReadAt(p, 8); n != 2 || !errors.Is(err, io.EOF) {
			t.Errorf("%d %v", n, err)
		}
		if _, err := m.ReadAt(p, 10); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if _, err := m.ReadAt(p, -1); err == nil {
			t.Error("negative offset accepted")
		}
	}
}

func TestShrunkFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	if n, err := m.ReadAt(p, 1<<15); err == nil || n > 0 {
		t.Errorf("%d bytes, %v", n, err)
	} else if m.data != nil && !strings.Contains(err.Error(), "shrank") {
		t.Error(err)
	}
}

func TestOpenRefusesFolders(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder opened")
	}
	empty := filepath.Join(t.TempDir(), "e")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(empty)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.ReadAt(make([]byte, 1), 0); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
