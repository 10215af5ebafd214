package importers

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

const (
	gzipMagic = "\x1f\x8b"
	// maxRatio bounds what a compressed file unpacks to, beyond maxRecord: logs and tables
	// shrink to a tenth or so, a file made to fill the memory to a thousandth.
	maxRatio = 100
)

// ofBytes are the formats that are read by places in the file, or are not text.
var ofBytes = []string{"tensorboard", "wandb_log", "parquet", "sqlite"}

// unpacker is the text of a file that is compressed with gzip.
type unpacker struct {
	gz     *gzip.Reader
	packed *counter
	name   string
	n      int64 // of the text so far
}

func unpack(r *bufio.Reader, packed *counter, path string) (*unpacker, error) {
	u := &unpacker{packed: packed, name: filepath.Base(path)}
	var err error
	if u.gz, err = gzip.NewReader(r); err != nil {
		return nil, u.damaged(err)
	}
	return u, nil
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.gz.Read(p)
	u.n += int64(n)
	if u.n > maxRecord && u.n > maxRatio*u.packed.n {
		return 0, fmt.Errorf("the gzip file unpacks to more than %d times its size, as no table or log does (at byte %d of its text); if it is one, unpack it first (gunzip -k %q)",
			maxRatio, u.n, u.name)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, u.damaged(err)
	}
	return n, err
}

// damaged says where reading ended. The end of the file within its data is no io.EOF,
// which would pass for the end of the text.
func (u *unpacker) damaged(err error) error {
	why := "is damaged"
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		why = "ends too early"
	}
	return fmt.Errorf("the gzip file %s, after %d bytes of its text: unpack what is whole (gzip -dc %q > %q)", why, u.n, u.name, "whole.txt")
}

// refuse says that a format is not read from a compressed file.
func (f *inputFile) refuse(chosen *format) error {
	if f.packed && slices.Contains(ofBytes, chosen.name) {
		return fmt.Errorf("a %s file is not read while it is compressed with gzip: unpack it first (gunzip -k %q)", chosen.name, filepath.Base(f.file.Name()))
	}
	return nil
}
