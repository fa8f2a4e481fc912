// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// reads are the methods that change nothing of an inventory. Whatever is not here counts as a write.
var reads = map[string]bool{
	"RetrieveServiceContent": true, "RetrieveProperties": true, "RetrievePropertiesEx": true,
	"ContinueRetrievePropertiesEx": true, "CancelRetrievePropertiesEx": true, "Fetch": true,
	"Login": true, "LoginByToken": true, "Logout": true, "SessionIsActive": true, "CurrentTime": true,
	"CreateFilter": true, "DestroyPropertyFilter": true, "CreatePropertyCollector": true, "DestroyPropertyCollector": true,
	"WaitForUpdates": true, "WaitForUpdatesEx": true, "CheckForUpdates": true, "CancelWaitForUpdates": true,
	"CreateContainerView": true, "CreateListView": true, "CreateInventoryView": true, "DestroyView": true,
	"ModifyListView": true, "ResetListView": true,
	"FindByUuid": true, "FindAllByUuid": true, "FindByInventoryPath": true, "FindByDatastorePath": true,
	"FindByDnsName": true, "FindAllByDnsName": true, "FindByIp": true, "FindAllByIp": true, "FindChild": true,
	"HttpNfcLeaseGetManifest": true, "QueryOptions": true, "QueryConfigOption": true, "QueryConfigOptionEx": true,
	"QueryConfigOptionDescriptor": true, "QueryPerf": true, "QueryEvents": true, "QueryAvailablePerfMetric": true,
	"FetchUserPrivilegeOnEntities": true, "HasPrivilegeOnEntities": true, "HasUserPrivilegeOnEntities": true,
	"RetrieveEntityPermissions": true, "RetrieveRolePermissions": true, "RetrieveUserGroups": true,
	"GetAlarm": true, "GetAlarmState": true, "QueryAssignedLicenses": true,
}

type call struct {
	Time   string `json:"time"`
	Method string `json:"method"`
	Object string `json:"object,omitempty"`
	Client string `json:"client"`
	Agent  string `json:"agent,omitempty"`
	Status int    `json:"status"`
	Write  bool   `json:"write"`
	Bytes  int64  `json:"bytes,omitempty"`
}

type callLog struct {
	mu   sync.Mutex
	file *os.File
}

func (l *callLog) add(c call) {
	c.Time = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	line, _ := json.Marshal(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.file.Write(append(line, '\n'))
}

var (
	soapMethod = regexp.MustCompile(`<(?:[A-Za-z0-9_]+:)?Body[^>]*>\s*<(?:[A-Za-z0-9_]+:)?([A-Za-z0-9_]+)`)
	soapThis   = regexp.MustCompile(`<(?:[A-Za-z0-9_]+:)?_this[^>]*>([^<]*)<`)
)

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int)      { r.status = status; r.ResponseWriter.WriteHeader(status) }
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// logged passes requests to next and writes one line for each.
func (l *callLog) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{Client: r.RemoteAddr, Agent: r.UserAgent()}
		rec := &recorder{w, http.StatusOK}
		switch {
		case strings.HasPrefix(r.URL.Path, "/sdk") && r.Method == http.MethodPost:
			body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
			if err != nil {
				http.Error(w, "cannot read the request", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			c.Method = "unknown"
			if m := soapMethod.FindSubmatch(body); m != nil {
				c.Method = string(m[1])
			}
			if m := soapThis.FindSubmatch(body); m != nil {
				c.Object = string(m[1])
			}
			c.Write = !reads[c.Method]
		case strings.HasPrefix(r.URL.Path, "/nfc/"):
			c.Method = "NFC " + r.Method
			c.Write = r.Method != http.MethodGet && r.Method != http.MethodHead
		default:
			c.Method = r.Method + " " + r.URL.Path
			session := strings.HasSuffix(r.URL.Path, "/session")
			c.Write = r.Method != http.MethodGet && r.Method != http.MethodHead && !session
		}
		defer func() {
			c.Status = rec.status
			problem := recover()
			if problem != nil {
				c.Status = 0 // the connection was cut
			}
			l.add(c)
			if problem != nil {
				panic(problem)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}
