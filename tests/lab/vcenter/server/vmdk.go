// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

// Stream-optimised VMDK as it goes over an NFC lease: a decoder that is as strict as a host would be and writes a
// sparse raw file, and an encoder for exports. Format: VMware's "Virtual Disk Format 5.0", stream-optimised extents.

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/klauspost/compress/zlib"
)

const (
	sector       = 512
	grainSectors = 128
	grainBytes   = grainSectors * sector
	tableGrains  = 512
	magic        = 0x564d444b // "KDMV"
	flagsStream  = 0x30001

	markerEOS    = 0
	markerTable  = 1
	markerDir    = 2
	markerFooter = 3

	seekData = 3 // lseek(2)
	seekHole = 4
)

// invalidDisk is a body that is no stream-optimised VMDK for the disk it was sent to.
type invalidDisk struct{ reason string }

func (e *invalidDisk) Error() string { return e.reason }

func invalid(format string, v ...any) error { return &invalidDisk{fmt.Sprintf(format, v...)} }

type header struct {
	Magic, Version, Flags                                     uint32
	Capacity, GrainSize, DescriptorOffset, DescriptorSize     uint64
	NumGTEsPerGT                                              uint32
	RGDOffset, GDOffset, Overhead                             uint64
	UncleanShutdown                                           uint8
	SingleEndLine, NonEndLine, DoubleEndLine1, DoubleEndLine2 byte
	CompressAlgorithm                                         uint16
	Pad                                                       [433]byte
}

func (h *header) check(what string) error {
	switch {
	case h.Magic != magic:
		return invalid("%s: not a VMDK (no KDMV magic)", what)
	case h.Version < 2:
		return invalid("%s: sparse VMDK version %d is too old", what, h.Version)
	case h.Flags&0x30000 != 0x30000:
		return invalid("%s: not stream-optimised (flags %#x)", what, h.Flags)
	case h.CompressAlgorithm != 1:
		return invalid("%s: unknown compression %d", what, h.CompressAlgorithm)
	case h.GrainSize != grainSectors:
		return invalid("%s: grain of %d sectors", what, h.GrainSize)
	case h.SingleEndLine != '\n' || h.NonEndLine != ' ' || h.DoubleEndLine1 != '\r' || h.DoubleEndLine2 != '\n':
		return invalid("%s: damaged line-end check bytes", what)
	}
	return nil
}

type grain struct {
	lba  uint64
	data []byte
}

// decode reads a whole stream from r and writes the disk to out, which is truncated to capacity bytes. The stream's
// own capacity must be that of the disk, give or take the rounding to whole MiB that clients do.
func decode(r io.Reader, out *os.File, capacity int64) (err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	position := uint64(0) // in sectors
	read := func(p []byte) error {
		_, e := io.ReadFull(in, p)
		position += uint64(len(p)) / sector
		if errors.Is(e, io.ErrUnexpectedEOF) || errors.Is(e, io.EOF) {
			return invalid("stream ends too early, at sector %d", position)
		}
		return e
	}
	var h header
	block := make([]byte, sector)
	if err = read(block); err != nil {
		return err
	}
	_ = binary.Read(bytes.NewReader(block), binary.LittleEndian, &h)
	if err = h.check("header"); err != nil {
		return err
	}
	size := int64(h.Capacity) * sector
	if size > capacity || size <= capacity-(1<<20) {
		return invalid("the stream is of a disk of %d bytes, the disk has %d", size, capacity)
	}
	if err = out.Truncate(capacity); err != nil {
		return err
	}
	if h.Overhead < 1 || h.Overhead > 1<<16 {
		return invalid("header: overhead of %d sectors", h.Overhead)
	}
	overhead := make([]byte, (h.Overhead-1)*sector)
	if err = read(overhead); err != nil {
		return err
	}
	if h.DescriptorOffset > 0 {
		from := (h.DescriptorOffset - 1) * sector
		if from+h.DescriptorSize*sector > uint64(len(overhead)) || !bytes.Contains(overhead[from:from+h.DescriptorSize*sector], []byte("createType=\"streamOptimized\"")) {
			return invalid("descriptor is missing or does not say streamOptimized")
		}
	}

	// Two inflating workers; the reading goroutine stays ahead by at most eight grains.
	jobs := make(chan grain, 8)
	var workers sync.WaitGroup
	var once sync.Once
	var workErr error
	failed := make(chan struct{})
	for range 2 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			raw := make([]byte, grainBytes)
			for job := range jobs {
				if e := inflate(job, raw, out, size); e != nil {
					once.Do(func() { workErr = e; close(failed) })
				}
			}
		}()
	}
	defer func() {
		close(jobs)
		workers.Wait()
		if err == nil {
			err = workErr
		}
	}()

	where := map[uint64]uint64{} // grain number -> sector of its header
	tables := map[uint64][]uint32{}
	var directory []uint32
	footer := false
	ahead := h.GDOffset != ^uint64(0) // qemu-img's way: tables before the grains, and the file just ends
	if ahead {
		number := (h.Capacity + grainSectors - 1) / grainSectors
		directory = numbersAt(overhead, h.GDOffset, (number+tableGrains-1)/tableGrains)
		if directory == nil {
			return invalid("the grain directory is outside of the overhead")
		}
		for _, at := range directory {
			if at == 0 {
				continue
			}
			if tables[uint64(at)] = numbersAt(overhead, uint64(at), tableGrains); tables[uint64(at)] == nil {
				return invalid("a grain table is outside of the overhead")
			}
		}
	}
	next := int64(-1)
	for {
		at := position
		if ahead {
			if _, e := in.Peek(1); errors.Is(e, io.EOF) {
				return checkTables(where, tables, directory)
			}
		}
		if err = read(block); err != nil {
			return err
		}
		value := binary.LittleEndian.Uint64(block)
		length := binary.LittleEndian.Uint32(block[8:])
		if length > 0 { // a grain
			if value%grainSectors != 0 || int64(value)*sector >= size {
				return invalid("grain of sector %d is misplaced", value)
			}
			if int64(value) <= next {
				return invalid("grain of sector %d is out of order", value)
			}
			if length > 2*grainBytes {
				return invalid("grain of sector %d has %d bytes", value, length)
			}
			next = int64(value)
			total := (uint64(length) + 12 + sector - 1) / sector * sector
			data := make([]byte, total-12)
			copy(data, block[12:])
			if total > sector {
				if err = read(data[sector-12:]); err != nil {
					return err
				}
			}
			where[value/grainSectors] = at
			select {
			case jobs <- grain{value, data[:length]}:
			case <-failed:
				return nil // the deferred call reports the worker's error
			}
			continue
		}
		switch kind := binary.LittleEndian.Uint32(block[12:]); kind {
		case markerEOS:
			if value != 0 {
				return invalid("end-of-stream marker with a size")
			}
			if !footer && !ahead {
				return invalid("end of stream before the footer")
			}
			for ahead { // it pads the last grain's place with zeros
				if _, e := in.Peek(1); errors.Is(e, io.EOF) {
					break
				}
				if err = read(block); err != nil {
					return err
				}
				if !isZero(block) {
					return invalid("bytes after the end of the stream")
				}
			}
			if _, e := in.ReadByte(); e == nil {
				return invalid("bytes after the end of the stream")
			} else if !errors.Is(e, io.EOF) {
				return e
			}
			return checkTables(where, tables, directory)
		case markerTable, markerDir:
			if value == 0 || value > 1<<16 {
				return invalid("marker %d with %d sectors", kind, value)
			}
			start := position
			body := make([]byte, value*sector)
			if err = read(body); err != nil {
				return err
			}
			entries := make([]uint32, len(body)/4)
			_ = binary.Read(bytes.NewReader(body), binary.LittleEndian, entries)
			if kind == markerTable {
				tables[start] = entries
			} else {
				directory = entries
			}
		case markerFooter:
			if err = read(block); err != nil {
				return err
			}
			var f header
			_ = binary.Read(bytes.NewReader(block), binary.LittleEndian, &f)
			if err = f.check("footer"); err != nil {
				return err
			}
			if f.Capacity != h.Capacity || directory == nil {
				return invalid("footer does not fit the header")
			}
			footer = true
		default:
			return invalid("unknown marker %d at sector %d", kind, at)
		}
	}
}

// numbersAt reads count entries at a sector of the overhead, which begins at sector 1; nil when they are not there.
func numbersAt(overhead []byte, at, count uint64) []uint32 {
	from := (at - 1) * sector
	if at < 1 || from > uint64(len(overhead)) || count*4 > uint64(len(overhead))-from {
		return nil
	}
	entries := make([]uint32, count)
	_ = binary.Read(bytes.NewReader(overhead[from:from+count*4]), binary.LittleEndian, entries)
	return entries
}

// checkTables holds that directory and tables name exactly the grains that were in the stream.
func checkTables(where map[uint64]uint64, tables map[uint64][]uint32, directory []uint32) error {
	found := 0
	for i, at := range directory {
		if at == 0 {
			continue
		}
		table, ok := tables[uint64(at)]
		if !ok {
			return invalid("grain directory entry %d points to no grain table", i)
		}
		for j, sectorOf := range table {
			if sectorOf == 0 || j >= tableGrains {
				continue
			}
			if where[uint64(i)*tableGrains+uint64(j)] != uint64(sectorOf) {
				return invalid("grain table entry %d of table %d points to no grain", j, i)
			}
			found++
		}
	}
	if found != len(where) {
		return invalid("%d grains in the stream, %d in the tables", len(where), found)
	}
	return nil
}

func inflate(job grain, raw []byte, out *os.File, size int64) error {
	z, err := zlib.NewReader(bytes.NewReader(job.data))
	if err != nil {
		return invalid("grain of sector %d: %v", job.lba, err)
	}
	n, err := io.ReadFull(z, raw)
	if err == nil {
		var one [1]byte
		if k, e := z.Read(one[:]); k != 0 || !errors.Is(e, io.EOF) { // also has the checksum verified
			return invalid("grain of sector %d: %v, or more than a grain", job.lba, e)
		}
	} else if !errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("grain of sector %d: %v", job.lba, err)
	}
	offset := int64(job.lba) * sector
	data := raw[:n]
	if rest := size - offset; rest < int64(n) {
		data = raw[:rest]
	} else if n < grainBytes && rest > int64(n) {
		return invalid("grain of sector %d is short: %d bytes", job.lba, n)
	}
	if isZero(data) {
		return nil // stays a hole
	}
	_, err = out.WriteAt(data, offset)
	return err
}

var zeros = make([]byte, grainBytes)

func isZero(p []byte) bool { return bytes.Equal(p, zeros[:len(p)]) }

// encode writes the raw file's disk as a stream-optimised VMDK.
func encode(raw *os.File, out io.Writer) error {
	info, err := raw.Stat()
	if err != nil {
		return err
	}
	capacity := uint64(info.Size()+sector-1) / sector
	h := header{
		Magic: magic, Version: 3, Flags: flagsStream, Capacity: capacity, GrainSize: grainSectors,
		DescriptorOffset: 1, DescriptorSize: 20, NumGTEsPerGT: tableGrains, GDOffset: ^uint64(0), Overhead: grainSectors,
		SingleEndLine: '\n', NonEndLine: ' ', DoubleEndLine1: '\r', DoubleEndLine2: '\n', CompressAlgorithm: 1,
	}
	w := &sectorWriter{w: bufio.NewWriterSize(out, 1<<20)}
	w.header(&h)
	descriptor := fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=%08x\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n"+
		"# Extent description\nRDONLY %d SPARSE \"export.vmdk\"\n\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"14\"\n"+
		"ddb.geometry.cylinders = \"%d\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"lsilogic\"\n",
		uint32(capacity)*2654435761|1, capacity, max(1, min(65535, capacity/(255*63))))
	w.padded([]byte(descriptor), 20*sector)
	w.padded(nil, (grainSectors-21)*sector)

	grains := (capacity + grainSectors - 1) / grainSectors
	directory := make([]uint32, (grains+tableGrains-1)/tableGrains)
	var table []uint32
	current := uint64(0)
	flush := func() {
		if table != nil {
			w.marker(tableGrains*4/sector, markerTable)
			directory[current] = uint32(w.sectors)
			w.numbers(table)
			table = nil
		}
	}
	err = compressed(raw, info.Size(), func(number uint64, payload []byte) {
		if number/tableGrains != current {
			flush()
			current = number / tableGrains
		}
		if table == nil {
			table = make([]uint32, tableGrains)
		}
		table[number%tableGrains] = uint32(w.sectors)
		w.grain(number*grainSectors, payload)
	}, func() error { return w.err })
	if err != nil {
		return err
	}
	flush()
	size := (len(directory)*4 + sector - 1) / sector
	w.marker(uint64(size), markerDir)
	h.GDOffset = uint64(w.sectors)
	w.numbers(directory)
	w.marker(1, markerFooter)
	w.header(&h)
	w.marker(0, markerEOS)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// compressed reads the data extents of a file, two grain compressors at work, and calls emit for each grain in order.
func compressed(raw *os.File, size int64, emit func(uint64, []byte), stop func() error) error {
	type result struct {
		number uint64
		data   []byte
		err    error
	}
	queue := make(chan chan result, 16)
	slots := make(chan *zlib.Writer, 2)
	for range cap(slots) {
		z, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
		slots <- z
	}
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		defer close(queue)
		submit := func(number uint64, data []byte, err error) bool {
			answer := make(chan result, 1)
			select {
			case queue <- answer:
			case <-quit:
				return false
			}
			if err != nil {
				answer <- result{err: err}
				return false
			}
			z := <-slots
			go func() {
				var packed bytes.Buffer
				z.Reset(&packed)
				_, e := z.Write(data)
				if c := z.Close(); e == nil {
					e = c
				}
				slots <- z
				answer <- result{number, packed.Bytes(), e}
			}()
			return true
		}
		done := int64(0)
		for done < size {
			start, e := syscall.Seek(int(raw.Fd()), done, seekData)
			if errors.Is(e, syscall.ENXIO) {
				return
			}
			end := size
			if e != nil {
				start = done
			} else if hole, e2 := syscall.Seek(int(raw.Fd()), start, seekHole); e2 == nil {
				end = hole
			}
			start = start / grainBytes * grainBytes
			for at := max(start, done); at < end; at += grainBytes {
				data := make([]byte, grainBytes)
				n, e := raw.ReadAt(data, at)
				if e != nil && !errors.Is(e, io.EOF) {
					submit(0, nil, e)
					return
				}
				if n == 0 || isZero(data) {
					continue
				}
				if !submit(uint64(at/grainBytes), data, nil) {
					return
				}
			}
			done = (end + grainBytes - 1) / grainBytes * grainBytes
		}
	}()
	for answer := range queue {
		got := <-answer
		if got.err != nil {
			return got.err
		}
		emit(got.number, got.data)
		if err := stop(); err != nil {
			return err
		}
	}
	return nil
}

type sectorWriter struct {
	w       *bufio.Writer
	sectors int64
	err     error
}

func (s *sectorWriter) padded(p []byte, size int) {
	if s.err == nil {
		_, s.err = s.w.Write(p)
	}
	for rest := size - len(p); rest > 0 && s.err == nil; rest -= grainBytes {
		_, s.err = s.w.Write(zeros[:min(rest, grainBytes)])
	}
	s.sectors += int64(size / sector)
}

func (s *sectorWriter) header(h *header) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	s.padded(b.Bytes(), sector)
}

func (s *sectorWriter) marker(sectors uint64, kind uint32) {
	b := binary.LittleEndian.AppendUint64(nil, sectors)
	b = binary.LittleEndian.AppendUint32(b, 0)
	s.padded(binary.LittleEndian.AppendUint32(b, kind), sector)
}

func (s *sectorWriter) numbers(n []uint32) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, n)
	s.padded(b.Bytes(), (b.Len()+sector-1)/sector*sector)
}

func (s *sectorWriter) grain(lba uint64, payload []byte) {
	b := binary.LittleEndian.AppendUint64(nil, lba)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(payload))), payload...)
	s.padded(b, (len(b)+sector-1)/sector*sector)
}
