// Package data turns a source of text or tokens into blocks of context-length token
// sequences: split into training and held-out blocks, shuffled by a seed, addressed by
// their number alone, so that resuming a run needs no more than a position.
//
// All sources end as one row of tokens (Row) made of parts: memory-mapped files or
// memory. It trains nothing and writes nothing.
package data

import (
	"fmt"
	"math"
)

// Info says what a corpus is, for the screen and for the record.
type Info struct {
	Name        string  // "Newton's Opticks", "synthetic language", a file's or folder's name
	Description string  // one line: "Newton's Opticks, 567 KB, from the Go toolchain"
	Path        string  // "" when synthetic
	Files       int     // read in all
	Bytes       int64   // of text; of the token files when there is no text
	Tokens      int64   //
	Vocab       int     // ids are below it; 0: not known (files of tokens)
	PerByte     float64 // tokens per byte of text, to turn nats per token into bits per byte; 0: not known
	Synthetic   bool    // not real text
	Fingerprint string  // from Fingerprint
	Notes       []string
}

// BitsPerByte turns a loss in nats per token into bits per byte of text; NaN when the
// corpus is tokens without text.
func (i Info) BitsPerByte(loss float64) float64 {
	if i.PerByte == 0 {
		return math.NaN()
	}
	return loss * i.PerByte / math.Ln2
}

// size writes a number of bytes: 567 KB, 1.2 GB.
func size(n int64) string {
	switch f := float64(n); {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.0f KB", f/1e3)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f MB", f/1e6)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.0f MB", f/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
