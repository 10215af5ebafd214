package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// scanner returns the length of the first pre-token of a text that is not empty. Each
// is one of the published patterns, written out because Go's regexp has no lookahead.
// Bytes that are no UTF-8 count as one sign each, neither letter, number nor space.
type scanner func(text []byte) int

// Patterns as they stand in tokenizer.json.
const (
	// gpt2Pattern is what ByteLevel with use_regex applies.
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// qwenPattern is Qwen2's and Qwen3's: digits stand alone.
	qwenPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// llamaPattern is Llama 3's (and cl100k's): up to three digits.
	llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var scanners = map[string]scanner{
	gpt2Pattern:  scanGPT2,
	qwenPattern:  func(text []byte) int { return scanModern(text, 1) },
	llamaPattern: func(text []byte) int { return scanModern(text, 3) },
}

type class uint8

const (
	other class = iota
	letters
	numbers
	space
)

// classify returns the class and length of the first character.
func classify(text []byte) (class, int) {
	b := text[0]
	if b < utf8.RuneSelf {
		switch {
		case letter(b):
			return letters, 1
		case b >= '0' && b <= '9':
			return numbers, 1
		case b == ' ' || b >= '\t' && b <= '\r':
			return space, 1
		}
		return other, 1
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && n == 1:
		return other, 1
	case unicode.IsLetter(r):
		return letters, n
	case unicode.IsNumber(r):
		return numbers, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

// run is the length of the longest beginning of one class, at most limit characters.
func run(text []byte, of class, limit int) int {
	n := 0
	for ; n < len(text) && limit > 0; limit-- {
		c, w := classify(text[n:])
		if c != of {
			break
		}
		n += w
	}
	return n
}

const unlimited = int(^uint(0) >> 1)

func scanGPT2(text []byte) int {
	if n := contraction(text, false); n > 0 {
		return n
	}
	skip := 0
	if text[0] == ' ' && len(text) > 1 {
		skip = 1
	}
	if c, _ := classify(text[skip:]); c != space {
		return skip + run(text[skip:], c, unlimited)
	}
	return spaces(text)
}

func scanModern(text []byte, digits int) int {
	if n := contraction(text, true); n > 0 {
		return n
	}
	c, w := classify(text)
	switch {
	case c == letters:
		return run(text, letters, unlimited)
	case c == numbers:
		return run(text, numbers, digits)
	case text[0] != '\r' && text[0] != '\n' && w < len(text):
		if n := run(text[w:], letters, unlimited); n > 0 {
			return w + n
		}
	}
	skip := 0
	if text[0] == ' ' {
		skip = 1
	}
	if n := run(text[skip:], other, unlimited); n > 0 {
		n += skip
		for n < len(text) && (text[n] == '\r' || text[n] == '\n') {
			n++
		}
		return n
	}
	// \s*[\r\n]+ gives back what follows the last line break of the white space.
	n := run(text, space, unlimited)
	for i := n; i > 0; i-- {
		if text[i-1] == '\r' || text[i-1] == '\n' {
			return i
		}
	}
	return spaces(text)
}

// spaces is \s+(?!\S)|\s+: white space without its last character when something else
// follows, for that character belongs to the next word.
func spaces(text []byte) int {
	n := run(text, space, unlimited)
	if n == len(text) {
		return n
	}
	_, last := utf8.DecodeLastRune(text[:n])
	if n > last {
		return n - last
	}
	return n
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the beginning, 0
// without one. Ignoring case, s is also the long ſ (Unicode's simple case folding).
func contraction(text []byte, fold bool) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	low := func(i int) byte {
		switch {
		case i >= len(text):
			return 0
		case fold && text[i] >= 'A' && text[i] <= 'Z':
			return text[i] | 0x20
		}
		return text[i]
	}
	switch low(1) {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if low(2) == 'e' {
			return 3
		}
	case 'l':
		if low(2) == 'l' {
			return 3
		}
	}
	if fold && len(text) > 2 && text[1] == 0xc5 && text[2] == 0xbf {
		return 3
	}
	return 0
}
