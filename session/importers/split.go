package importers

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// splitter cuts separated text into records as RFC 4180 has it, strictly: a
// quoted field begins with its quote, doubles quotes inside and ends before a
// separator or the end of the line; it may hold separators and line breaks.
// \r\n counts as \n, also within quotes; empty lines are skipped.
type splitter struct {
	comma byte
	// loose lets unquoted fields hold quotes, as tab-separated text often does.
	loose bool

	fields  [][]byte // of the last record; valid until the next call
	scratch []byte
}

var (
	errBareQuote = errors.New(`has a quote within an unquoted field: quote the whole field and double the quotes inside, "so ""it"" is"`)
	errQuote     = errors.New(`has a quoted field that goes on after its closing quote: double the quotes inside, "so ""it"" is"`)
	errUnclosed  = errors.New("begins a quoted field that is never closed")
)

// next reads the record at the start of b and returns the bytes and line breaks
// it takes, or 0 bytes if b ends before the record does. An empty line gives no
// fields.
func (s *splitter) next(b []byte, eof bool) (n, lines int, err error) {
	s.fields = s.fields[:0]
	i := bytes.IndexByte(b, '\n')
	if i < 0 && (!eof || len(b) == 0) {
		return 0, 0, nil
	}
	line := b
	n, lines = len(b), 1
	if i >= 0 {
		line, n = b[:i], i+1
	}
	if len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	if len(line) == 0 {
		return n, 1, nil
	}
	if bytes.IndexByte(line, '"') >= 0 {
		return s.quoted(b, eof)
	}
	s.cut(line)
	return n, lines, nil
}

// cut cuts a line without quotes at its separators. Fields are short: eight bytes are
// looked at together.
func (s *splitter) cut(line []byte) {
	const ones, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	separators := ones * uint64(s.comma)
	fields, start, i := s.fields, 0, 0
	for ; i+8 <= len(line); i += 8 {
		// A byte of x is 0 where a separator is, and its high bit alone is set in found.
		x := binary.LittleEndian.Uint64(line[i:]) ^ separators
		for found := ^((x&low + low) | x | low); found != 0; found &= found - 1 {
			at := i + bits.TrailingZeros64(found)/8
			fields = append(fields, line[start:at])
			start = at + 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == s.comma {
			fields = append(fields, line[start:i])
			start = i + 1
		}
	}
	s.fields = append(fields, line[start:])
}

// quoted reads a record with quotes in its first line.
func (s *splitter) quoted(b []byte, eof bool) (n, lines int, err error) {
	s.scratch = s.scratch[:0]
	pos := 0
	for {
		if pos < len(b) && b[pos] == '"' {
			field, end, breaks, err := s.quotedField(b[pos+1:], eof)
			lines += breaks
			if err != nil || end < 0 {
				return 0, lines, err
			}
			pos += 1 + end
			s.fields = append(s.fields, field)
		} else {
			end := bytes.IndexByte(b[pos:], '\n')
			if end < 0 {
				if !eof {
					return 0, 0, nil
				}
				end = len(b) - pos
			}
			field := b[pos : pos+end]
			if j := bytes.IndexByte(field, s.comma); j >= 0 {
				field = field[:j]
			} else if len(field) > 0 && field[len(field)-1] == '\r' {
				field = field[:len(field)-1]
			}
			s.fields = append(s.fields, field)
			if !s.loose && bytes.IndexByte(field, '"') >= 0 {
				return 0, lines, errBareQuote
			}
			pos += len(field)
		}
		if pos < len(b) && b[pos] == s.comma {
			pos++
			continue
		}
		if pos < len(b) && b[pos] == '\r' {
			pos++
		}
		if pos < len(b) && b[pos] == '\n' {
			pos++
		} else if !eof {
			return 0, 0, nil
		}
		return pos, lines + 1, nil
	}
}

// quotedField reads a field after its opening quote. end is where the separator
// or line break stands, or -1 if b ends before the field does.
func (s *splitter) quotedField(b []byte, eof bool) (field []byte, end, breaks int, err error) {
	start := len(s.scratch)
	copied := false
	from, pos := 0, 0
	for {
		j := bytes.IndexByte(b[pos:], '"')
		if j < 0 {
			if !eof {
				return nil, -1, 0, nil
			}
			s.fields = append(s.fields, nil)
			return nil, -1, 0, errUnclosed
		}
		part := b[pos : pos+j]
		breaks += bytes.Count(part, []byte{'\n'})
		if bytes.Contains(part, []byte("\r\n")) {
			s.scratch = append(s.scratch, bytes.ReplaceAll(b[from:pos+j], []byte("\r\n"), []byte{'\n'})...)
			from, copied = pos+j, true
		}
		pos += j + 1
		rest := b[pos:]
		if len(rest) == 0 || len(rest) == 1 && rest[0] == '\r' {
			if !eof {
				return nil, -1, 0, nil
			}
		} else if rest[0] == '"' {
			s.scratch = append(s.scratch, b[from:pos]...)
			pos++
			from, copied = pos, true
			continue
		} else if rest[0] != s.comma && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) {
			s.fields = append(s.fields, nil)
			return nil, -1, breaks, errQuote
		}
		if !copied {
			return b[from : pos-1], pos, breaks, nil
		}
		s.scratch = append(s.scratch, b[from:pos-1]...)
		return s.scratch[start:len(s.scratch):len(s.scratch)], pos, breaks, nil
	}
}
