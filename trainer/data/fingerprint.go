package data

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"os"
	"strings"

	"github.com/etastar/etastar/trainer/config"
)

// Fingerprint tells one corpus from another without reading it: it hashes the sizes of
// the files, 64 stretches of 4 KB spread evenly over their bytes, and the tokenizer. Where
// the files lie and what they are called does not count.
func Fingerprint(ctx context.Context, d config.Data) (string, error) {
	h := fnv.New128a()
	sources := []config.Data{d}
	if d.Validation != "" {
		sources = append(sources, config.Data{Source: d.Validation, Bytes: d.Bytes})
	}
	for _, s := range sources {
		if err := hashSource(ctx, h, Resolve(s)); err != nil {
			return "", err
		}
	}
	if d.Tokenizer != "bytes" && d.Tokenizer != "" {
		if err := hashFile(h, d.Tokenizer); err != nil {
			return "", fmt.Errorf("open tokenizer: %w", err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func hashSource(ctx context.Context, h hash.Hash, d config.Data) error {
	path := d.Source
	switch path {
	case "":
		return errNoSource
	case "synthetic":
		_, err := fmt.Fprintf(h, "synthetic %d %d", syntheticSeed, cmp.Or(d.Bytes, DefaultSyntheticBytes))
		return err
	case "opticks":
		if path = FindOpticks(); path == "" {
			return errNoOpticks
		}
	}
	o := opener{ctx: ctx, format: d.Format}
	list, err := o.list(path)
	if err != nil {
		return err
	}
	total := int64(0)
	for i, f := range list {
		// Of Megatron's two files the tokens are in the .bin.
		if f.format == formatMegatron {
			list[i].path = strings.TrimSuffix(f.path, ".idx")
			list[i].path = strings.TrimSuffix(list[i].path, ".bin") + ".bin"
			info, err := os.Stat(list[i].path)
			if err != nil {
				return fmt.Errorf("open corpus: %w", err)
			}
			list[i].size = info.Size()
		}
		_ = binary.Write(h, binary.LittleEndian, list[i].size)
		total += list[i].size
	}
	return sample(h, list, total)
}

// sample hashes stretches spread evenly over the bytes of all files together.
func sample(h hash.Hash, list []one, total int64) error {
	const places, length = 64, 4 << 10
	k, start := 0, int64(0) // file k begins at byte start of all
	var f *os.File
	defer func() {
		if f != nil {
			_ = f.Close()
		}
	}()
	for i := range int64(places) {
		at := max(0, total-length) * i / (places - 1)
		for k < len(list)-1 && at >= start+list[k].size {
			start += list[k].size
			k++
			if f != nil {
				_ = f.Close()
				f = nil
			}
		}
		if f == nil {
			var err error
			if f, err = os.Open(list[k].path); err != nil {
				return fmt.Errorf("open corpus: %w", err)
			}
		}
		// A stretch that a file's end cuts is hashed as far as it goes.
		if _, err := io.Copy(h, io.NewSectionReader(f, at-start, length)); err != nil {
			return fmt.Errorf("open corpus: %w", err)
		}
	}
	return nil
}

func hashFile(h hash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(h, f)
	return errors.Join(err, f.Close())
}
