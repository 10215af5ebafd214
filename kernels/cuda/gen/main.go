// Gen compiles source/*.cu to ptx/*.ptx.gz, which the backend embeds. It needs clang++-19
// and nothing of NVIDIA's. The same compiler gives the same bytes anywhere.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const compiler = "clang++-19"

func main() {
	to := flag.String("to", "ptx", "where to write")
	flag.Parse()
	if err := run("source", *to); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run compiles every source of a folder and removes PTX that has none.
func run(from, to string) error {
	sources, err := filepath.Glob(filepath.Join(from, "*.cu"))
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, s := range sources {
		name := strings.TrimSuffix(filepath.Base(s), ".cu") + ".ptx.gz"
		keep[name] = true
		b, err := compile(s)
		if err != nil {
			return err
		}
		if b, err = zip(b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o666); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(to, "*.ptx*"))
	if err != nil {
		return err
	}
	for _, f := range old {
		if !keep[filepath.Base(f)] {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// zip compresses; the same text gives the same bytes with one version of Go.
func zip(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// compile returns the PTX of a source: for every card from Ampere on, or for Hopper
// alone where the name ends so.
func compile(source string) ([]byte, error) {
	arch := []string{"--cuda-gpu-arch=sm_80", "--cuda-feature=+ptx70"}
	if strings.HasSuffix(source, "_sm90.cu") {
		arch = []string{"--cuda-gpu-arch=sm_90a", "--cuda-feature=+ptx80"}
	}
	cmd := exec.Command(compiler, append(arch, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib",
		"-std=c++17", "-O3", "-ffp-contract=fast", "-Wall", "-Werror", "-Wno-unused-function", "-S", "-o", "-", source)...)
	var said strings.Builder
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", source, err, said.String())
	}
	return clean(b), nil
}

var (
	comment = regexp.MustCompile(`[ \t]*//[^\n]*`)
	blank   = regexp.MustCompile(`\n\s*\n+`)
)

// clean removes comments, which say nothing to the driver, and empty lines.
func clean(b []byte) []byte {
	b = blank.ReplaceAll(comment.ReplaceAll(b, nil), []byte("\n"))
	return []byte(strings.TrimLeft(string(b), "\n"))
}
