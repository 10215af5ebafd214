package data

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/etastar/etastar/trainer/config"
)

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	print := func(d config.Data) string {
		t.Helper()
		s, err := Fingerprint(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	text := bytes.Repeat([]byte("so many words "), 30_000)
	a := write(t, filepath.Join(dir, "a.txt"), text)
	b := write(t, filepath.Join(dir, "elsewhere.txt"), text)
	first := print(spec(a))
	if first != print(spec(a)) || first != print(spec(b)) {
		t.Error("the same text has two fingerprints")
	}
	seen := map[string]string{first: "a"}
	other := func(name string, d config.Data) {
		t.Helper()
		s := print(d)
		if was, ok := seen[s]; ok {
			t.Errorf("%s has the fingerprint of %s", name, was)
		}
		seen[s] = name
	}
	other("one byte longer", spec(write(t, filepath.Join(dir, "c.txt"), append(bytes.Clone(text), '.'))))
	changed := bytes.Clone(text)
	changed[len(changed)-1] = '!'
	other("another last byte", spec(write(t, filepath.Join(dir, "d.txt"), changed)))
	with := spec(a)
	with.Validation = b
	other("with a validation text", with)
	with = spec(a)
	with.Tokenizer = b
	other("with a tokenizer", with)
	other("synthetic", config.Data{Source: "synthetic", Tokenizer: "bytes"})
	other("synthetic, 1 KB", config.Data{Source: "synthetic", Tokenizer: "bytes", Bytes: 1024})
	folder := filepath.Join(dir, "folder")
	write(t, filepath.Join(folder, "1.txt"), text[:len(text)/2])
	write(t, filepath.Join(folder, "2.txt"), text[len(text)/2:])
	other("in two files", spec(folder))
	write(t, filepath.Join(folder, "3.txt"), nil)
	other("with an empty file", spec(folder))

	for _, d := range []config.Data{{}, spec(filepath.Join(dir, "none")), {Source: a, Tokenizer: filepath.Join(dir, "none")}} {
		if s, err := Fingerprint(t.Context(), d); err == nil {
			t.Errorf("%+v has fingerprint %s", d, s)
		}
	}
}
