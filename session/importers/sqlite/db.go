package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic begins a database file.
const Magic = "SQLite format 3\x00"

const (
	headerSize = 100
	// maxRow bounds the bytes of a row.
	maxRow = 64 << 20
	// maxTreeDepth is beyond the depth of any tree that a file has room for.
	maxTreeDepth = 32
)

// ErrDamaged is in the chain of errors about what a file holds.
var ErrDamaged = errors.New("the database is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// DB is an open database.
type DB struct {
	file     io.ReaderAt
	log      *wal
	pageSize int
	usable   int // of a page; the rest is an extension's
	pages    uint32
	encoding uint32 // of text: 1 UTF-8, 2 UTF-16 LE, 3 UTF-16 BE
	counter  uint32
	tables   []Table
	read     uint32 // pages of the walk in hand, which may not pass those of the file
}

// Open reads the schema of a database of size bytes. wal is its write-ahead log (the
// file with "-wal" after its name) of walSize bytes, or nil.
func Open(file io.ReaderAt, size int64, log io.ReaderAt, walSize int64) (*DB, error) {
	db := &DB{file: file}
	var head [headerSize]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, damaged("it ends within its header")
	}
	if string(head[:len(Magic)]) != Magic {
		return nil, errors.New("this is no SQLite database")
	}
	be := binary.BigEndian
	if db.pageSize = int(be.Uint16(head[16:])); db.pageSize == 1 {
		db.pageSize = 1 << 16
	}
	if db.pageSize < 512 || db.pageSize&(db.pageSize-1) != 0 {
		return nil, damaged("its pages are %d bytes long", db.pageSize)
	}
	if db.usable = db.pageSize - int(head[20]); db.usable < 480 {
		return nil, damaged("%d bytes of a page are in use", db.usable)
	}
	db.counter = be.Uint32(head[24:])
	db.pages = uint32(min(size/int64(db.pageSize), 1<<32-2))
	if log != nil {
		var err error
		if db.log, err = readWAL(log, walSize, db.pageSize); err != nil {
			return nil, err
		}
		db.pages = max(db.pages, db.log.pages)
	}
	first, err := db.page(1)
	if err != nil {
		return nil, err
	}
	if db.encoding = be.Uint32(first[56:]); db.encoding > 3 {
		return nil, damaged("its text has encoding %d", db.encoding)
	}
	return db, db.schema()
}

// Changed reports whether another program changed the file since Open, so that what
// was read may be of two states.
func (db *DB) Changed() bool {
	var head [headerSize]byte
	_, err := db.file.ReadAt(head[:], 0)
	return err != nil || binary.BigEndian.Uint32(head[24:]) != db.counter
}

// Tables returns the tables of the schema that can be read, in its order.
func (db *DB) Tables() []Table { return db.tables }

// Table returns the table of that name, or nil.
func (db *DB) Table(name string) *Table {
	for i := range db.tables {
		if db.tables[i].Name == name {
			return &db.tables[i]
		}
	}
	return nil
}

// page reads a page, counted from 1.
func (db *DB) page(n uint32) ([]byte, error) {
	if n == 0 || n > db.pages {
		return nil, damaged("page %d of %d is referred to", n, db.pages)
	}
	b := make([]byte, db.pageSize)
	if db.log != nil {
		if at, ok := db.log.frames[n]; ok {
			_, err := db.log.file.ReadAt(b, at)
			return b, err
		}
	}
	if k, err := db.file.ReadAt(b, int64(n-1)*int64(db.pageSize)); k < len(b) {
		if errors.Is(err, io.EOF) {
			return nil, damaged("the file ends within page %d", n)
		}
		return nil, err
	}
	return b, nil
}

// Rows calls each for the rows of a table until it fails. The values are valid
// during the call. What is read before damage was passed to each.
func (db *DB) Rows(t *Table, each func(values []Value) error) error {
	db.read = 0
	w := walker{db: db, table: t, each: each, values: make([]Value, len(t.Columns))}
	if err := w.tree(t.root, 0); err != nil {
		return fmt.Errorf("table %q: %w", t.Name, err)
	}
	return nil
}

type walker struct {
	db      *DB
	table   *Table
	each    func(values []Value) error
	values  []Value
	payload []byte
}

// count counts a page as read: in a file that is whole none belongs to two places.
func (db *DB) count(n uint32) error {
	if n == 0 || n > db.pages {
		return damaged("page %d of %d is referred to", n, db.pages)
	}
	if db.read++; db.read > db.pages {
		return damaged("page %d is referred to in a circle", n)
	}
	return nil
}

// tree walks the pages of a table's B-tree (1.6).
func (w *walker) tree(n uint32, depth int) error {
	if depth > maxTreeDepth {
		return damaged("its tree is more than %d pages deep", maxTreeDepth)
	}
	if err := w.db.count(n); err != nil {
		return err
	}
	b, err := w.db.page(n)
	if err != nil {
		return err
	}
	head := b
	if n == 1 {
		head = b[headerSize:]
	}
	interior, leaf := byte(0x05), byte(0x0d)
	if w.table.rowless {
		interior, leaf = 0x02, 0x0a
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	size := 8
	switch kind {
	case interior:
		size = 12
	case leaf:
	default:
		return damaged("page %d is of kind %d, which the table has not", n, kind)
	}
	if size+2*cells > len(head) {
		return damaged("page %d has %d cells", n, cells)
	}
	left := len(b) // for cells, each of which has its own bytes in a page that is whole
	for i := range cells {
		at := int(binary.BigEndian.Uint16(head[size+2*i:]))
		if at+4 > len(b) {
			return damaged("page %d: a cell is outside of it", n)
		}
		if kind == interior {
			if err := w.tree(binary.BigEndian.Uint32(b[at:]), depth+1); err != nil {
				return err
			}
			at += 4
		}
		// The inner pages of an index hold rows too.
		if kind == leaf || w.table.rowless {
			local, err := w.cell(n, b[:w.db.usable], at)
			if err != nil {
				return err
			}
			if left -= local; left < 0 {
				return damaged("page %d: its cells overlap", n)
			}
		}
	}
	if kind == interior {
		return w.tree(binary.BigEndian.Uint32(head[8:]), depth+1)
	}
	return nil
}

// cell reads a row, and returns how many bytes of its page it has.
func (w *walker) cell(page uint32, b []byte, at int) (int, error) {
	if at >= len(b) {
		return 0, damaged("page %d: a cell is outside of it", page)
	}
	begin := at
	size, n := varint(b[at:])
	var key int64
	if rest := b[min(at+n, len(b)):]; !w.table.rowless {
		k, m := varint(rest)
		if m == 0 {
			n = 0
		}
		key = k
		at += m
	}
	if n == 0 || size < 0 || size > maxRow {
		return 0, damaged("page %d: a row has %d bytes", page, size)
	}
	payload, local, err := w.content(page, b[at+n:], int(size))
	if err != nil {
		return 0, err
	}
	if err := w.record(payload, key); err != nil {
		return 0, fmt.Errorf("page %d: %w", page, err)
	}
	return at + n + local - begin, w.each(w.values)
}

// content puts together what a cell holds itself, local bytes, and what is on overflow
// pages (1.6).
func (w *walker) content(page uint32, b []byte, size int) (payload []byte, local int, err error) {
	usable := w.db.usable
	local = size
	most := usable - 35
	if w.table.rowless {
		most = (usable-12)*64/255 - 23
	}
	if size > most {
		least := (usable-12)*32/255 - 23
		if local = least + (size-least)%(usable-4); local > most {
			local = least
		}
	}
	if local == size {
		if size > len(b) {
			return nil, 0, damaged("page %d: a row is longer than its page", page)
		}
		return b[:size], local, nil
	}
	if local+4 > len(b) {
		return nil, 0, damaged("page %d: a row is longer than its page", page)
	}
	w.payload = append(w.payload[:0], b[:local]...)
	next := binary.BigEndian.Uint32(b[local:])
	for len(w.payload) < size {
		if err := w.db.count(next); err != nil {
			return nil, 0, err
		}
		over, err := w.db.page(next)
		if err != nil {
			return nil, 0, err
		}
		next = binary.BigEndian.Uint32(over)
		over = over[4:usable]
		w.payload = append(w.payload, over[:min(len(over), size-len(w.payload))]...)
	}
	return w.payload, local, nil
}

// varint reads SQLite's integers of variable length: seven bits a byte, the largest
// first, and eight of the ninth. n is 0 where b ends before it does.
func varint(b []byte) (v int64, n int) {
	var u uint64
	for i, c := range b {
		if i == 8 {
			return int64(u<<8 | uint64(c)), 9
		}
		u = u<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return int64(u), i + 1
		}
	}
	return 0, 0
}

// wal is a write-ahead log: the last committed version of pages (4).
type wal struct {
	file   io.ReaderAt
	frames map[uint32]int64 // where the content of a page is
	pages  uint32           // of the database, after the last commit
}

// readWAL indexes a log. Frames of an earlier use of the file, and those of a
// transaction that was not committed, do not count.
func readWAL(file io.ReaderAt, size int64, pageSize int) (*wal, error) {
	const walHeader, frameHeader = 32, 24
	w := &wal{file: file, frames: map[uint32]int64{}}
	var head [walHeader]byte
	if n, _ := file.ReadAt(head[:], 0); n < len(head) {
		return w, nil // it was not begun
	}
	be := binary.BigEndian
	magic := be.Uint32(head[:])
	if magic&^1 != 0x377f0682 || int(be.Uint32(head[8:])) != pageSize {
		return w, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 != 0 {
		order = be
	}
	s0, s1 := checksum(order, 0, 0, head[:24])
	if s0 != be.Uint32(head[24:]) || s1 != be.Uint32(head[28:]) {
		return w, nil
	}
	pending := map[uint32]int64{}
	frame := make([]byte, frameHeader+pageSize)
	for at := int64(walHeader); at+int64(len(frame)) <= size; at += int64(len(frame)) {
		if n, err := file.ReadAt(frame, at); n < len(frame) {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		if !bytes.Equal(frame[8:16], head[16:24]) {
			break
		}
		s0, s1 = checksum(order, s0, s1, frame[:8])
		s0, s1 = checksum(order, s0, s1, frame[frameHeader:])
		if s0 != be.Uint32(frame[16:]) || s1 != be.Uint32(frame[20:]) {
			break
		}
		pending[be.Uint32(frame)] = at + frameHeader
		if commit := be.Uint32(frame[4:]); commit != 0 {
			w.pages = commit
			for page, at := range pending {
				w.frames[page] = at
			}
			clear(pending)
		}
	}
	return w, nil
}

func checksum(order binary.ByteOrder, s0, s1 uint32, b []byte) (uint32, uint32) {
	for ; len(b) >= 8; b = b[8:] {
		s0 += order.Uint32(b) + s1
		s1 += order.Uint32(b[4:]) + s0
	}
	return s0, s1
}
