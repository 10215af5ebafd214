package cuda

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed ptx/*.ptx.gz
var ptx embed.FS

// images are the compiled kernels by name, each with its file's head before it: the
// driver then compiles only those that a program needs.
type images map[string][]byte

var entryPattern = regexp.MustCompile(`(?m)^\.visible \.entry (\w+)\(`)

// loadImages reads the embedded files and checks that every kernel that programs can
// need is there.
func loadImages() (images, error) {
	files, err := ptx.ReadDir("ptx")
	if err != nil {
		return nil, err
	}
	all := images{}
	for _, f := range files {
		b, err := ptx.ReadFile(path.Join("ptx", f.Name()))
		if err == nil {
			b, err = unzip(b)
		}
		if err != nil {
			return nil, fmt.Errorf("this build's %s: %w", f.Name(), err)
		}
		all.split(b)
	}
	var missing []string
	for _, name := range kernelNames() {
		if all[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("this build lacks the kernels %s", strings.Join(missing, ", "))
	}
	return all, nil
}

func unzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// split adds the kernels of a file.
func (i images) split(file []byte) {
	starts := entryPattern.FindAllSubmatchIndex(file, -1)
	if len(starts) == 0 {
		return
	}
	head := file[:starts[0][0]]
	for k, s := range starts {
		end := len(file)
		if k+1 < len(starts) {
			end = starts[k+1][0]
		}
		i[string(file[s[2]:s[3]])] = slices.Concat(head, bytes.TrimSpace(file[s[0]:end]), []byte("\n"))
	}
}

// kernel is what a compiled kernel says of itself.
type kernel struct {
	threads   int // of a block
	arguments int // bytes
}

var (
	threadsPattern   = regexp.MustCompile(`\.maxntid (\d+), 1, 1`)
	argumentsPattern = regexp.MustCompile(`\.param \.align \d+ \.b8 \w+_param_0\[(\d+)\]`)
)

// kernels describes all kernels.
func (i images) kernels() map[string]kernel {
	all := map[string]kernel{}
	for name, text := range i {
		all[name] = kernel{number(threadsPattern, text), number(argumentsPattern, text)}
	}
	return all
}

// number is what a pattern finds, 0 without.
func number(p *regexp.Regexp, text []byte) int {
	n := 0
	if m := p.FindSubmatch(text[:min(len(text), 1000)]); m != nil {
		n, _ = strconv.Atoi(string(m[1]))
	}
	return n
}
