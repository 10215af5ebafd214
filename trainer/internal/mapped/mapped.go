// Package mapped reads files in place: memory-mapped where the system can, with
// plain reads elsewhere, behind one io.ReaderAt.
//
// It knows nothing of what the files hold and never writes.
package mapped

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// File is a file open for reading at any place, by several goroutines at once.
type File struct {
	path string
	size int64
	data []byte   // the mapping; nil: reads go to f
	f    *os.File // nil when mapped
}

// Open opens a regular file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open %s: not a regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	m := &File{path: path, size: info.Size(), f: f}
	if data, err := mmap(f, m.size); err == nil {
		m.data, m.f = data, nil
		_ = f.Close() // the mapping outlives the descriptor
	}
	return m, nil
}

// Size is the file's size in bytes when it was opened.
func (m *File) Size() int64 { return m.size }

// ReadAt implements io.ReaderAt. A file cut short by another program while it is
// mapped gives an error, not a crash.
func (m *File) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", m.path, off)
	}
	if off >= m.size {
		return 0, io.EOF
	}
	if m.f != nil {
		return m.f.ReadAt(p, off)
	}
	if m.data == nil {
		return 0, fmt.Errorf("read %s: %w", m.path, os.ErrClosed)
	}
	// A page past the end of a shrunk file faults; Go turns that into a panic here.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("read %s: the file shrank while it was being read", m.path)
		}
	}()
	n = copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close gives the mapping back. No read may be under way.
func (m *File) Close() error {
	var errs []error
	if m.data != nil {
		errs = append(errs, munmap(m.data))
		m.data = nil
	}
	if m.f != nil {
		errs = append(errs, m.f.Close())
		m.f = nil
	}
	return errors.Join(errs...)
}
