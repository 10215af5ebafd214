package importers

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/bitpacked"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	pqformat "github.com/parquet-go/parquet-go/format"
)

// maxPage bounds a page once it is unpacked; writers make them of a megabyte, or of
// a whole row group.
const maxPage = 256 << 20

// checkFooter checks what describes the file, and its length, four bytes before the magic
// that ends it, before the library makes room for that.
func checkFooter(file io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < int64(len(parquetMagic)+len(tail)) {
		return errors.New("the Parquet file is damaged, or still being written: it ends too early")
	}
	if _, err := file.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return fmt.Errorf("the Parquet file is damaged, or still being written: %w", err)
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	begin := size - n - int64(len(tail))
	if begin < int64(len(parquetMagic)) {
		return fmt.Errorf("the Parquet file is damaged, or still being written: its description of %d bytes is longer than the file", n)
	}
	if _, err := checkThrift(file, begin, begin+n); err != nil {
		return fmt.Errorf("the Parquet file is damaged: its description: %w", err)
	}
	return nil
}

// checkPages goes through the heads of a column's pages before the library makes
// room for what they promise: a file of a few bytes can promise gigabytes. leaf is the
// column as the library sees it.
func checkPages(file io.ReaderAt, size int64, m *pqformat.ColumnMetaData, rows int64, leaf *parquet.Column) error {
	at := m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		at = min(at, m.DictionaryPageOffset)
	}
	end := at + m.TotalCompressedSize
	if at < 0 || m.TotalCompressedSize < 0 || end > size {
		return errors.New("the Parquet file is damaged: its pages are outside of it")
	}
	left := rows
	for at < end {
		n, err := checkThrift(file, at, end)
		head := make([]byte, n)
		var h pqformat.PageHeader
		if err == nil {
			_, err = file.ReadAt(head, at)
		}
		if err == nil {
			err = thrift.NewDecoder((&thrift.CompactProtocol{}).NewReaderFromBytes(head)).Decode(&h)
		}
		if err != nil {
			return fmt.Errorf("the Parquet file is damaged: byte %d: the head of a page: %w", at, err)
		}
		values := int64(0)
		switch {
		case h.DataPageHeader.Valid:
			values = int64(h.DataPageHeader.V.NumValues)
			left -= values
		case h.DataPageHeaderV2.Valid:
			values = int64(h.DataPageHeaderV2.V.NumValues)
			left -= values
		case h.DictionaryPageHeader.Valid:
			values = int64(h.DictionaryPageHeader.V.NumValues)
		}
		switch {
		case values < 0 || values > rows || left < 0:
			return fmt.Errorf("the Parquet file is damaged: byte %d: a page has %d values, the part of the table %d rows", at, values, rows)
		case h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage:
			return fmt.Errorf("byte %d: a page unpacks to %d bytes, more than %d", at, h.UncompressedPageSize, maxPage)
		case h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > end-at-n:
			return fmt.Errorf("the Parquet file is damaged: byte %d: a page of %d bytes ends outside of its column", at, h.CompressedPageSize)
		}
		if err := checkBody(file, at+n, &h, leaf); err != nil {
			return fmt.Errorf("the Parquet file is damaged: byte %d: %w", at, err)
		}
		at += n + int64(h.CompressedPageSize)
	}
	return nil
}

// checkChunk checks the pages that a row group has of a column.
func (r *parquetReader) checkChunk(group *pqformat.RowGroup, c parquetColumn, rows int64) error {
	if c.index >= len(group.Columns) {
		return errors.New("the Parquet file is damaged: a part of the table lacks columns")
	}
	return checkPages(r.job.in.f.file, r.job.in.f.info.Size(), &group.Columns[c.index].MetaData, rows, c.leaf)
}

// checkBody checks of a page what the library takes on trust: how long it is once
// unpacked, and how many texts it has. Of a page with others than its head says it
// writes to the error stream, which may be a screen (newByteArrayPage of parquet-go 0.32).
func checkBody(file io.ReaderAt, at int64, h *pqformat.PageHeader, leaf *parquet.Column) error {
	if leaf == nil {
		return nil
	}
	codec := leaf.Compression()
	p := textPage{leaf: leaf, values: int(h.DataPageHeader.V.NumValues), encoding: h.DataPageHeader.V.Encoding}
	p.packed, p.levels = codec.CompressionCodec() != pqformat.Uncompressed, h.DataPageHeader.V.DefinitionLevelEncoding
	size, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	if v2 := h.DataPageHeaderV2.V; h.DataPageHeaderV2.Valid {
		// Levels come first, never packed, and the head says what they do.
		n := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
		if v2.RepetitionLevelsByteLength < 0 || v2.DefinitionLevelsByteLength < 0 || n > size {
			return errors.New("the levels of a page are longer than it")
		}
		at, size, unpacked = at+n, size-n, unpacked-n
		p = textPage{leaf: leaf, values: int(v2.NumValues - v2.NumNulls), encoding: v2.Encoding, second: true}
		p.packed = codec.CompressionCodec() != pqformat.Uncompressed && (!v2.IsCompressed.Valid || v2.IsCompressed.V)
	}
	if p.packed && codec.CompressionCodec() == pqformat.Snappy {
		head := make([]byte, min(size, binary.MaxVarintLen64))
		if _, err := file.ReadAt(head, at); err != nil {
			return err
		}
		if n, _ := binary.Uvarint(head); int64(n) != unpacked {
			return fmt.Errorf("a page unpacks to %d bytes, its head says %d", n, unpacked)
		}
	}
	if p.packed {
		if err := unpacksTo(codec.CompressionCodec(), io.NewSectionReader(file, at, size), unpacked); err != nil {
			return err
		}
	}
	indexed := p.encoding == pqformat.RLEDictionary || p.encoding == pqformat.PlainDictionary //nolint:staticcheck // as older programs write it
	if leaf.Type().Kind() != parquet.ByteArray || h.DictionaryPageHeader.Valid || indexed {
		return nil
	}
	body := make([]byte, size)
	_, err := file.ReadAt(body, at)
	if err == nil && p.packed {
		body, err = codec.Decode(make([]byte, 0, max(0, unpacked)), body)
	}
	if err != nil {
		return err
	}
	return p.check(body)
}

// unpacksTo refuses a packed page that is longer unpacked than its head says: the library
// makes room for all that comes. Snappy says itself how long it is.
func unpacksTo(codec pqformat.CompressionCodec, packed io.Reader, n int64) error {
	var r io.Reader
	switch codec { //nolint:exhaustive // the rest is refused, or checked elsewhere
	case pqformat.Gzip:
		z, err := gzip.NewReader(packed)
		if err != nil {
			return err
		}
		r = z
	case pqformat.Zstd:
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*maxPage))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	case pqformat.Brotli:
		r = brotli.NewReader(packed)
	default:
		return nil
	}
	got, err := io.Copy(io.Discard, io.LimitReader(r, n+1))
	if err == nil && got > n {
		err = fmt.Errorf("a page unpacks to more than the %d bytes that its head says", n)
	}
	return err
}

// textPage is a page of texts.
type textPage struct {
	leaf     *parquet.Column
	values   int // in its body
	encoding pqformat.Encoding
	packed   bool
	second   bool // of version 2
	levels   pqformat.Encoding
}

// check counts the texts of a page's body as the library does.
func (p *textPage) check(body []byte) error {
	if most := p.leaf.MaxDefinitionLevel(); most > 0 && !p.second {
		if len(body) < 4 || int64(binary.LittleEndian.Uint32(body)) > int64(len(body)-4) {
			return errors.New("the levels of a page are longer than it")
		}
		n := 4 + int(binary.LittleEndian.Uint32(body))
		var decoder encoding.Encoding = &rle.Encoding{BitWidth: bits.Len(uint(most))}
		if p.levels == pqformat.BitPacked {
			decoder = &bitpacked.Encoding{BitWidth: bits.Len(uint(most))}
		}
		levels, err := decoder.DecodeLevels(make([]byte, 0, p.values), body[4:n])
		if err != nil {
			return err
		}
		for _, l := range levels[:min(p.values, len(levels))] {
			if int(l) != most {
				p.values--
			}
		}
		body = body[n:]
	}
	_, offsets, err := parquet.LookupEncoding(p.encoding).DecodeByteArray(nil, body, nil)
	if err != nil {
		return err
	}
	if n := len(offsets) - 1; n != p.values {
		return fmt.Errorf("a page has %d texts, its head says %d", n, p.values)
	}
	return nil
}
