package tokenizer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/etastar/etastar/trainer/atomicfile"
)

// chunk is how much text is encoded at a time, and maxChunk how much is read at most
// to find a place to cut.
const (
	chunk    = 1 << 20
	maxChunk = 64 << 20
)

// Stream encodes a text of any length and gives the tokens to emit, some at a time (the
// slice is used again). They are those of the whole text. It returns the bytes read.
func (e *Encoder) Stream(ctx context.Context, src io.Reader, emit func([]int32) error) (int64, error) {
	return e.stream(ctx, src, emit, chunk, maxChunk)
}

func (e *Encoder) stream(ctx context.Context, src io.Reader, emit func([]int32) error, chunk, most int) (read int64, err error) {
	var text []byte
	var ids []int32
	for want := chunk; ; {
		if err := ctx.Err(); err != nil {
			return read, err
		}
		start := len(text)
		if need := want - start; need > 0 {
			text = append(text, make([]byte, need)...)
			n, err := io.ReadFull(src, text[start:])
			read += int64(n)
			text = text[:start+n]
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return read, emit(e.Encode(ids[:0], text))
			}
			if err != nil {
				return read, err
			}
		}
		cut := e.t.safeCut(text)
		if cut <= 0 {
			if want >= most {
				return read, fmt.Errorf("encode: %w in %d MB after byte %d", errNoCut, most>>20, read-int64(len(text)))
			}
			want = min(2*want, most)
			continue
		}
		ids = e.Encode(ids[:0], text[:cut])
		if err := emit(ids); err != nil {
			return read, err
		}
		text = append(text[:0], text[cut:]...)
		want = max(chunk, 2*len(text))
	}
}

// Magic numbers and versions of llm.c's token files (karpathy/llm.c, dev/data/
// data_common.py): 256 int32 of header (magic, version, number of tokens), then the
// tokens, all little-endian.
const (
	Magic16, Version16 = 20240520, 1 // uint16
	Magic32, Version32 = 20240801, 7 // uint32
	HeaderSize         = 256 * 4
)

// EncodeFile encodes texts one after another into a token file in llm.c's format, with
// 16 bits a token where the vocabulary allows. After every text comes the tokenizer's
// end-of-document token, where it has one. The file appears whole or not at all. It
// returns the number of tokens.
func (t *Tokenizer) EncodeFile(ctx context.Context, path string, texts ...io.Reader) (tokens int64, err error) {
	f, err := atomicfile.Create(path, nil)
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	wide := t.vocab > 1<<16
	if _, err := f.Write(make([]byte, HeaderSize)); err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	var buf bytes.Buffer
	emit := func(ids []int32) error {
		buf.Reset()
		b := buf.AvailableBuffer()
		for _, id := range ids {
			if wide {
				b = binary.LittleEndian.AppendUint32(b, uint32(id))
			} else {
				b = binary.LittleEndian.AppendUint16(b, uint16(id))
			}
		}
		tokens += int64(len(ids))
		if _, err := f.Write(b); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return nil
	}
	e := t.NewEncoder()
	for _, text := range texts {
		if _, err := e.Stream(ctx, text, emit); err != nil {
			return 0, err
		}
		if id, ok := t.EOS(); ok {
			if err := emit([]int32{id}); err != nil {
				return 0, err
			}
		}
	}
	if tokens >= 1<<31 {
		return 0, fmt.Errorf("write %s: %d tokens are more than the format's 2^31−1: split the text into several files", path, tokens)
	}
	header := []uint32{Magic16, Version16, uint32(tokens)}
	if wide {
		header[0], header[1] = Magic32, Version32
	}
	var h [12]byte
	for i, v := range header {
		binary.LittleEndian.PutUint32(h[4*i:], v)
	}
	if _, err := f.WriteAt(h[:], 0); err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	return tokens, f.Commit()
}
