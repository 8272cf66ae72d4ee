<?php
$conf['title'] = 'A wiki in WebAssembly';
$conf['license'] = 'cc-by-sa';
// A demo: everybody may edit. What sets up users is in DokuWiki's documentation.
$conf['useacl'] = 0;
