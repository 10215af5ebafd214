package importers

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
)

const (
	chunkSize = 1 << 20
	headSize  = 64 << 10
	// maxRecord bounds a record, and with it the buffer.
	maxRecord = 64 << 20
)

// inputFile is an open file whose bytes come as UTF-8 without a byte-order mark.
type inputFile struct {
	file     *os.File
	info     fs.FileInfo
	count    *counter
	text     *bufio.Reader
	ctx      context.Context //nolint:containedctx // lives as long as one Read
	progress func(read, total int64)
	packed   bool // compressed with gzip, and unpacked as it is read
	// damage is the byte at which the text ends, if that is a NUL: a machine that went
	// down leaves them at the end of a file that was being written.
	damage int64
}

// counter counts what was read of the file itself, before decoding, and sums it
// up, so that two passes can be told apart.
type counter struct {
	r   io.Reader
	n   int64
	sum uint32
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.sum = crc32.Update(c.sum, castagnoli, p[:n])
	return n, err
}

func openFile(ctx context.Context, path string, progress func(read, total int64)) (*inputFile, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("no permission to read it")
	case err != nil:
		return nil, underlying(err)
	case info.IsDir():
		return nil, errors.New("this is a directory: name a file in it")
	case !info.Mode().IsRegular():
		return nil, errors.New("this is not a regular file: save its contents to one")
	case info.Size() == 0:
		return nil, errors.New("the file is empty")
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("no permission to read it")
	} else if err != nil {
		return nil, underlying(err)
	}
	// What is appended while we read belongs to the next load.
	count := &counter{r: io.LimitReader(file, info.Size())}
	f := &inputFile{file: file, info: info, count: count, ctx: ctx, progress: progress}
	if err := f.decode(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// rewind returns the file from its beginning, to where it ended when it was opened.
func (f *inputFile) rewind() (*inputFile, error) {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return nil, underlying(err)
	}
	g := *f
	g.count = &counter{r: io.LimitReader(f.file, f.info.Size())}
	return &g, g.decode()
}

// underlying drops the path and the system call from an error: the path is
// already in front of every message.
func underlying(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// decode removes a byte-order mark and turns UTF-16 into UTF-8.
func (f *inputFile) decode() error {
	// A directory of runs has many small files.
	raw := bufio.NewReaderSize(f.count, int(min(headSize, f.info.Size()+utf8.UTFMax)))
	bom, err := raw.Peek(4)
	if bytes.HasPrefix(bom, []byte(gzipMagic)) {
		u, wrong := unpack(raw, f.count, f.file.Name())
		if wrong != nil {
			return wrong
		}
		f.packed = true
		raw = bufio.NewReaderSize(u, headSize)
		bom, err = raw.Peek(4)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return underlying(err)
	}
	f.text = raw
	switch {
	case bytes.HasPrefix(bom, []byte{0xEF, 0xBB, 0xBF}):
		_, err := raw.Discard(3)
		return err
	case bytes.Equal(bom, []byte{0xFF, 0xFE, 0, 0}), bytes.Equal(bom, []byte{0, 0, 0xFE, 0xFF}):
		return errors.New("the text is UTF-32: convert it to UTF-8")
	case bytes.HasPrefix(bom, []byte{0xFF, 0xFE}), bytes.HasPrefix(bom, []byte{0xFE, 0xFF}):
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()
		f.text = bufio.NewReaderSize(utf16.Reader(raw), headSize)
	}
	return nil
}

func (f *inputFile) close() { _ = f.file.Close() }

// head returns the first bytes of the text, at most headSize.
func (f *inputFile) head() []byte {
	head, _ := f.text.Peek(headSize)
	if i := f.nul(); i >= 0 && bytes.IndexByte(head[:i], '\n') >= 0 {
		return head[:i]
	}
	return head
}

// nul says where in the first bytes of a text a NUL stands, -1 if there is none or the
// format is not text.
func (f *inputFile) nul() int {
	head, _ := f.text.Peek(headSize)
	if f.ofBytes(head) {
		return -1
	}
	return bytes.IndexByte(head, 0)
}

// ofBytes reports whether the file is of a format that is not text.
func (f *inputFile) ofBytes(head []byte) bool {
	return isEvents(head, f.file.Name()) || isWandbLog(head) || sniffSQLite(head) > 0 || sniffParquet(head) > 0
}

// headDamage is what ends the first bytes of a text early.
func (f *inputFile) headDamage() error {
	if at := f.nul(); at >= 0 {
		return nulError(int64(at))
	}
	if _, err := f.text.Peek(headSize); f.packed && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func nulError(at int64) error {
	return fmt.Errorf("this is not text: byte %d is NUL (a binary file, a damaged one, or UTF-16 without a byte-order mark)", at)
}

// signatures of files that people try to load, and what to do instead; NAME is the file's.
var signatures = []struct{ magic, message string }{
	{gzipMagic, "the file is compressed with gzip twice: unpack it first (gunzip -k NAME)"},
	{"\x28\xb5\x2f\xfd", "the file is compressed with zstd: unpack it first (zstd -dk NAME)"},
	{"BZh", "the file is compressed with bzip2: unpack it first (bunzip2 -k NAME)"},
	{"\xfd7zXZ", "the file is compressed with xz: unpack it first (xz -dk NAME)"},
	{"PK\x03\x04", "this is a zip archive or a spreadsheet: unpack it first (unzip NAME), or export the sheet as CSV"},
	{"7z\xbc\xaf\x27\x1c", "this is a 7z archive: unpack it first (7z x NAME)"},
	{"\x04\x22\x4d\x18", "the file is compressed with lz4: unpack it first (lz4 -dk NAME)"},
	{"\xd0\xcf\x11\xe0", "this is a spreadsheet in a binary format: export the sheet as CSV"},
	{"PARE", "this is an encrypted Parquet file: write it out without encryption"},
	{"ARROW1", "this is an Arrow file: write it out as CSV"},
	{"%PDF", "this is a PDF"},
}

// look refuses what is not text.
func (f *inputFile) look() error {
	head := f.head()
	if len(head) == 0 {
		return cmp.Or(f.headDamage(), errors.New("the file is empty"))
	}
	for _, s := range signatures {
		// BZh and the like may begin a text too; binary bytes decide.
		if bytes.HasPrefix(head, []byte(s.magic)) && (!utf8.Valid(trimRune(head)) || bytes.IndexByte(head, 0) >= 0) {
			return errors.New(strings.ReplaceAll(s.message, "NAME", strconv.Quote(filepath.Base(f.file.Name()))))
		}
	}
	if f.ofBytes(head) {
		return nil
	}
	if i := bytes.IndexByte(head, 0); i >= 0 {
		return nulError(int64(i))
	}
	if utf8.Valid(trimRune(head)) {
		return nil
	}
	invalid := 0
	for rest := trimRune(head); len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			invalid++
		}
		rest = rest[n:]
	}
	if invalid*10 > len(head) {
		return errors.New("this is not UTF-8 text: a binary file, or text in another encoding (convert it to UTF-8)")
	}
	return nil
}

// trimRune removes a rune cut off at the end.
func trimRune(b []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// changed reports whether the file is another than when it was opened. A file
// that shrank was read in part only, which is an error.
func (f *inputFile) changed() (bool, error) {
	info, err := f.file.Stat()
	if err != nil {
		return false, underlying(err)
	}
	if info.Size() < f.info.Size() {
		return true, errors.New("the file was cut short while it was read: load it again")
	}
	return info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()), nil
}

func (f *inputFile) same(g *inputFile) bool {
	return os.SameFile(f.info, g.info) && f.info.Size() == g.info.Size() && f.info.ModTime().Equal(g.info.ModTime())
}

// window is the part of the text in memory: whole records and the beginning of
// the next. It grows with the longest record, to maxRecord.
type window struct {
	f        *inputFile
	buf      []byte
	from, to int
	eof      bool
	torn     bool  // the text ends at a NUL
	passed   int64 // bytes of text before buf[from]
	binary   bool  // NUL is a byte like any other
}

func (f *inputFile) window(chunk int) *window {
	size := int64(chunk)
	if !f.packed {
		size = min(size, f.info.Size()+1)
	}
	return &window{f: f, buf: make([]byte, size)}
}

// rest returns the bytes not consumed yet.
func (w *window) rest() []byte { return w.buf[w.from:w.to] }

// skip consumes n bytes.
func (w *window) skip(n int) {
	w.from += n
	w.passed += int64(n)
}

// more reads the next chunk. line is the line of the record in hand, for errors.
func (w *window) more(line int) error {
	if err := w.f.ctx.Err(); err != nil {
		return err
	}
	kept := copy(w.buf, w.buf[w.from:w.to])
	w.from, w.to = 0, kept
	if kept >= maxRecord {
		return fmt.Errorf("line %d: the record is longer than %d MiB: is a quote never closed, or is it no table?", line, maxRecord>>20)
	}
	if kept > len(w.buf)/2 {
		bigger := make([]byte, min(2*len(w.buf), maxRecord+chunkSize))
		copy(bigger, w.buf[:kept])
		w.buf = bigger
	}
	for w.to < len(w.buf) {
		n, err := w.f.text.Read(w.buf[w.to:])
		if i := bytes.IndexByte(w.buf[w.to:w.to+n], 0); i >= 0 && !w.binary {
			w.f.damage = w.passed + int64(w.to+i)
			w.to += i
			w.eof, w.torn = true, true
			break
		}
		w.to += n
		if errors.Is(err, io.EOF) {
			w.eof = true
			break
		}
		if err != nil {
			if w.to > kept {
				break // what was read comes first; the next call finds the error again
			}
			return underlying(err)
		}
	}
	if w.f.progress != nil {
		w.f.progress(w.f.count.n, w.f.info.Size())
	}
	return nil
}

// fill reads until n bytes are at hand and reports whether they are. record is the
// number of the record in hand, for errors.
func (w *window) fill(n, record int) (bool, error) {
	for len(w.rest()) < n {
		if w.eof {
			return false, nil
		}
		if err := w.more(record); err != nil {
			return false, err
		}
	}
	return true, nil
}

// expectRows estimates the rows of the whole file from those so far.
func (w *window) expectRows(rows int) int {
	if w.passed == 0 || rows == 0 {
		return rows
	}
	size := float64(w.f.info.Size())
	if w.f.packed {
		size *= float64(w.passed) / float64(max(w.f.count.n, 1))
	}
	return int(float64(rows)*size/float64(w.passed)*1.02) + 16
}
