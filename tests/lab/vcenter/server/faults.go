// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"io"
	"sync"
)

// cutFault cuts a transfer's connection after so many bytes, so many times (0: for ever).
type cutFault struct {
	After int64 `json:"after"`
	Times int   `json:"times"`
}

type leaseFault struct {
	State   string `json:"state"` // "initializing": before it is ready; "ready": at the next progress call
	Message string `json:"message"`
	Times   int    `json:"times"`
}

type corruptFault struct {
	Offset int64 `json:"offset"` // the byte of the stored disk whose lowest bit is flipped
	Times  int   `json:"times"`
}

// faultSet is what a test plants; an empty one is a vCenter in good health.
type faultSet struct {
	CutUpload       *cutFault     `json:"cut_upload,omitempty"`
	CutDownload     *cutFault     `json:"cut_download,omitempty"`
	Lease           *leaseFault   `json:"lease,omitempty"`
	CorruptUpload   *corruptFault `json:"corrupt_upload,omitempty"`
	RateMiB         float64       `json:"rate_mib_s,omitempty"`
	RefuseChunked   bool          `json:"refuse_chunked,omitempty"`
	WrongThumbprint bool          `json:"wrong_thumbprint,omitempty"`
	NoThumbprint    bool          `json:"no_thumbprint,omitempty"`
	StarURL         bool          `json:"star_url,omitempty"`
}

type faultBox struct {
	mu  sync.Mutex
	set faultSet
}

func (f *faultBox) get() faultSet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set
}

// replace puts a new set in the place of the old one.
func (f *faultBox) replace(r io.Reader) error {
	var set faultSet
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&set); err != nil && err != io.EOF {
		return err
	}
	f.mu.Lock()
	f.set = set
	f.mu.Unlock()
	return nil
}

// spend takes one of the times left; false when there are none.
func spend(times *int) (again bool) {
	if *times == 0 {
		return true // for ever
	}
	*times--
	return *times > 0
}

// cut says after how many bytes the next transfer is to be cut, -1 for never.
func (f *faultBox) cut(what string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := &f.set.CutUpload
	if what == "download" {
		fault = &f.set.CutDownload
	}
	if *fault == nil {
		return -1
	}
	after := (*fault).After
	if !spend(&(*fault).Times) {
		*fault = nil
	}
	return after
}

func (f *faultBox) lease(state string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set.Lease == nil || f.set.Lease.State != state {
		return ""
	}
	message := f.set.Lease.Message
	if message == "" {
		message = "A general system error occurred: planted by a test"
	}
	if !spend(&f.set.Lease.Times) {
		f.set.Lease = nil
	}
	return message
}

func (f *faultBox) corrupt() (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set.CorruptUpload == nil {
		return 0, false
	}
	offset := f.set.CorruptUpload.Offset
	if !spend(&f.set.CorruptUpload.Times) {
		f.set.CorruptUpload = nil
	}
	return offset, true
}
