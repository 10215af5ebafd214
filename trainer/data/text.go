package data

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/etastar/etastar/trainer/internal/mapped"
	"github.com/etastar/etastar/trainer/tokenizer"
)

// maxMemory is how much text, and how many tokens, are held in memory. Plain text read
// as bytes is mapped instead and has no limit.
const maxMemory = 1 << 30

// smallFile is the size up to which a text file is read rather than mapped: a folder of
// source code has more files than a process may have mappings.
const smallFile = 1 << 20

// separator stands between the documents of a corpus read as bytes.
const separator = '\n'

// texts collects text files into a row.
type texts struct {
	row    *Row
	tok    *tokenizer.Tokenizer
	enc    *tokenizer.Encoder
	field  string
	memory bytes.Buffer // documents read as bytes that are not in the row yet
	ids    []int32      // tokens that are not in the row yet: a part for every short document would be many
	held   int64        // bytes held in memory so far
	bytes  int64        // of text
	bad    int          // lines of .jsonl without text
	docs   int
}

func (t *texts) addFile(ctx context.Context, path string, kind string) error {
	if kind == formatJSONL {
		return t.addJSONL(ctx, path)
	}
	m, err := mapped.Open(path)
	if err != nil {
		return fmt.Errorf("open corpus: %w", err)
	}
	if m.Size() == 0 {
		return m.Close()
	}
	t.bytes += m.Size()
	if !t.tok.IsBytes() || m.Size() <= smallFile {
		defer func() { _ = m.Close() }()
		return t.document(ctx, io.NewSectionReader(m, 0, m.Size()), path)
	}
	t.separate()
	t.flush()
	t.row.closers = append(t.row.closers, m)
	t.row.add(part{r: m, count: m.Size(), kind: asUint8, name: path})
	return nil
}

// separate begins a document read as bytes.
func (t *texts) separate() {
	if t.docs++; t.docs > 1 {
		t.memory.WriteByte(separator)
	}
}

// document adds one document held in memory.
func (t *texts) document(ctx context.Context, r io.Reader, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tooLong := func() error {
		return fmt.Errorf("%s: the text read so far is over %s in memory: write it to a token file once and use that", path, size(maxMemory))
	}
	if t.tok.IsBytes() {
		t.separate()
		n, err := t.memory.ReadFrom(io.LimitReader(r, maxMemory-t.held+1))
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if t.held += n + 1; t.held > maxMemory {
			return tooLong()
		}
		return nil
	}
	if t.enc == nil {
		t.enc = t.tok.NewEncoder()
	}
	emit := func(ids []int32) error {
		if t.held += 4 * int64(len(ids)); t.held > maxMemory {
			return tooLong()
		}
		if t.ids = append(t.ids, ids...); len(t.ids) >= 1<<20 {
			t.flush()
		}
		return nil
	}
	if _, err := t.enc.Stream(ctx, r, emit); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if id, ok := t.tok.EOS(); ok {
		return emit([]int32{id})
	}
	return nil
}

// flush moves what is in memory into the row.
func (t *texts) flush() {
	if len(t.ids) > 0 {
		t.row.addIDs(t.ids, "text in memory")
		t.ids = t.ids[:0]
	}
	if t.memory.Len() > 0 {
		t.row.addBytes(t.memory.Bytes(), "text in memory")
		t.memory = bytes.Buffer{}
	}
}

// maxLine bounds a line of .jsonl.
const maxLine = 256 << 20

// addJSONL adds the text field of every line. Lines without text are counted and left
// out; a file with no text at all is an error.
func (t *texts) addJSONL(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open corpus: %w", err)
	}
	defer func() { _ = f.Close() }()
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<16), maxLine)
	var firstBad error
	line, good := 0, 0
	for s.Scan() {
		line++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		text, err := textField(s.Bytes(), t.field)
		if err != nil {
			if firstBad == nil {
				firstBad = fmt.Errorf("line %d: %w", line, err)
			}
			t.bad++
			continue
		}
		good++
		if len(text) == 0 {
			continue
		}
		t.bytes += int64(len(text))
		if err := t.document(ctx, bytes.NewReader(text), path); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("line %d is longer than %s", line+1, size(maxLine))
		}
		return fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case firstBad != nil && good == 0:
		return fmt.Errorf("read %s: %w", path, firstBad)
	case good == 0:
		return fmt.Errorf("read %s: it has no lines", path)
	}
	return nil
}

// textField returns a text field of a line of JSON.
func textField(line []byte, field string) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return nil, errors.New("it is no JSON object")
	}
	raw, ok := object[field]
	if !ok {
		return nil, fmt.Errorf("it has no field %q: name the one with the text", field)
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return nil, fmt.Errorf("its field %q is no text", field)
	}
	return []byte(*text), nil
}
