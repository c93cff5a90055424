"""What was asked and what was found: one `Case` is a referral and the report that answers it, in Swedish.

The names of the cases are also what `images` draws: a case named "nodule" has a nodule in its pictures.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One clinical story. `weight` is how often it comes up compared with its neighbours."""

    name: str
    question: str
    """Frågeställning."""
    history: str
    """Anamnes."""
    findings: str
    """Utlåtande, paragraphs parted by LF."""
    conclusion: str
    """Bedömning."""
    weight: int = 1
    follow_up: str = ""
    """What an addendum or a phone call later says."""


CHEST = (
    Case(
        "normal",
        "Pneumoni?",
        "Hosta och feber sedan en vecka, CRP 64. Rassel basalt höger. Tidigare frisk, röker inte.",
        "Hjärta av normal storlek och form. Normal lungkärlteckning. Inga parenkymförtätningar.\n"
        "Ingen pleuravätska. Slankt mediastinum. Skelettet utan anmärkning.",
        "Normala fynd vid lungröntgen.",
        4,
    ),
    Case(
        "normal",
        "Hjärtsvikt? Infiltrat?",
        "Tilltagande andfåddhet vid ansträngning, bensvullnad. Hypertoni sedan många år. NT-proBNP 420.",
        "Hjärtat ligger inom normala storleksgränser. Ingen stas. Ingen pleuravätska.\n"
        "Lätt åldersförändrad aorta. Inga infiltrat.",
        "Ingen hjärtinkompensation. Inga lungförändringar.",
        3,
    ),
    Case(
        "pneumonia",
        "Pneumoni?",
        "Hög feber, frossa och produktiv hosta sedan tre dagar. CRP 212, saturation 91 % på luft.",
        "I höger underlob ses en oskarpt avgränsad parenkymförtätning med luftbronkogram.\n"
        "Vänster lunga är klar. Hjärtat är normalstort. Liten mängd vätska i höger sinus.",
        "Höger underlobspneumoni. Röntgenkontroll om 6 veckor rekommenderas.",
        2,
        "Kontroll beställd av remitterande enhet.",
    ),
    Case(
        "failure",
        "Hjärtsvikt?",
        "Nattlig andnöd, viktuppgång 5 kg på två veckor. Tidigare hjärtinfarkt. Rassel bilateralt.",
        "Förstorat hjärta. Vidgade övre lungkärl, peribronkiell cuffing och Kerley B-linjer basalt.\n"
        "Bilateral pleuravätska, mest på vänster sida. Inga säkra infiltrat.",
        "Hjärtinkompensation med pleuravätska bilateralt.",
        2,
    ),
    Case(
        "nodule",
        "Tumör? Infiltrat?",
        "Långvarig hosta, avmagring 6 kg på tre månader. Rökare, 40 paketår.",
        "I vänster ovanlob ses en rundad förtätning, cirka 2 cm, med något oregelbunden avgränsning.\n"
        "I övrigt klara lungor. Hjärtat är normalstort. Ingen pleuravätska.",
        "Oklar rundförtätning i vänster ovanlob. DT thorax rekommenderas snarast. Remittenten är kontaktad.",
        1,
        "Remittent Dr Lindgren är informerad per telefon samma dag.",
    ),
    Case(
        "effusion",
        "Pleuravätska? Kontroll.",
        "Kontroll efter tidigare tappning av pleuravätska på vänster sida. Mindre andfådd.",
        "Kvarvarande vätska i vänster sinus, upp till nivå med åttonde revbenet dorsalt.\n"
        "Ingen pneumothorax. Hjärtat är normalstort. Höger lunga klar.",
        "Pleuravätska på vänster sida, i regress.",
        1,
    ),
)

CT_CHEST = (
    Case(
        "normal",
        "Malignitet? Lungparenkymsjukdom?",
        "Långvarig torrhosta, blodstrimmiga upphostningar vid två tillfällen. Lungröntgen u.a.",
        "Undersökt med intravenös kontrast i venös fas.\n"
        "Lungparenkymet är utan fokala förändringar. Inga förstorade körtlar i mediastinum eller hilus.\n"
        "Ingen pleura- eller perikardvätska. Medavbildad övre buk: lever, mjälte, binjurar och njurar u.a.\n"
        "Skelettet utan malignitetssuspekta förändringar.",
        "Inga malignitetsmisstänkta förändringar i thorax.",
        3,
    ),
    Case(
        "tumour",
        "Rundförtätning i vänster ovanlob på lungröntgen. Malignitet? Stadieindelning.",
        "Hosta och avmagring. Lungröntgen har visat en rundförtätning i vänster ovanlob. Rökare, 40 paketår. "
        "Kreatinin 82, ingen känd kontrastallergi.",
        "Undersökt med intravenös kontrast i venös fas.\n"
        "Centralt i vänster ovanlob finns en 22 x 19 mm stor, lobulerad och delvis spikulerad expansivitet.\n"
        "En lymfkörtel lateralt om aortabågen (station 5) mäter 9 mm i kortaxel, således inte förstorad.\n"
        "Höger lunga utan härdar. Ingen pleuravätska.\n"
        "Lever, binjurar och medavbildat skelett utan metastasmisstänkta förändringar.",
        "Expansivitet i vänster ovanlob, 22 mm, starkt malignitetsmisstänkt. Inga säkra metastaser. "
        "Bör föras till multidisciplinär konferens.",
        1,
        "Efter eftergranskning i samband med MDK: Utöver tidigare beskrivna förändringar finns en 4 mm "
        "stor subpleural nodulus i höger underlob, ospecifik. Föreslås kontroll vid nästa undersökning. "
        "I övrigt oförändrad bedömning.",
    ),
    Case(
        "embolism",
        "Lungemboli?",
        "Akut påkommen andfåddhet och pleuritsmärta på höger sida, takykardi 115. D-dimer 4,2. "
        "Opererad i knät för två veckor sedan.",
        "Undersökt enligt lungemboliprotokoll.\n"
        "Fyllnadsdefekter ses i höger underlobsartär och i flera segmentgrenar på höger sida.\n"
        "Ingen högerkammarbelastning. Liten subpleural förtätning basalt höger, sannolik infarkt.\n"
        "Ingen pleuravätska.",
        "Lungembolier på höger sida. Ansvarig läkare på akuten är informerad.",
        2,
    ),
    Case(
        "effusion",
        "Empyem? Tumör?",
        "Pneumoni som inte svarar på behandling. Kvarstående CRP-stegring och feber.",
        "Riklig vätska i höger pleura med ateletaskomponent i underloben.\n"
        "Inga förstorade körtlar. Ingen central expansivitet.",
        "Pleuravätska på höger sida, delvis avgränsad. Tappning rekommenderas.",
        1,
    ),
)

CT_ABDOMEN = (
    Case(
        "normal",
        "Malignitet? Inflammation?",
        "Ospecifika buksmärtor och viktnedgång sedan ett par månader. Lågt Hb, 104.",
        "Undersökt med peroral och intravenös kontrast.\n"
        "Lever, gallvägar, pankreas, mjälte, binjurar och njurar utan anmärkning.\n"
        "Inga förstorade körtlar. Ingen fri vätska eller fri gas. Tarmen utan säker väggförtjockning.",
        "Inga malignitetsmisstänkta eller inflammatoriska förändringar i buken.",
        3,
    ),
    Case(
        "cyst",
        "Leverförändring på ultraljud. Karaktär?",
        "Oklar lågekogen förändring i lever som bifynd vid ultraljud. Inga besvär.",
        "I leverns segment 7 finns en skarpt avgränsad, vattenattenuerande förändring på 28 mm, utan "
        "kontrastuppladdning.\nÖvriga organ i buken utan anmärkning.",
        "Okomplicerad levercysta. Ingen uppföljning behövs.",
        2,
    ),
    Case(
        "metastases",
        "Metastaser? Kontroll efter kolorektal cancer.",
        "Opererad för coloncancer för två år sedan. Stigande CEA.",
        "I levern ses fyra lågattenuerande förändringar med perifer uppladdning, den största 24 mm i "
        "segment 6.\nInga förstorade körtlar retroperitonealt. Ingen lokalrecidivmisstanke.",
        "Nytillkomna levermetastaser.",
        1,
        "Diskuterad vid multidisciplinär konferens. MR lever planeras.",
    ),
)

CT_HEAD = (
    Case(
        "normal",
        "Blödning?",
        "Ramlat i trappa, slagit i bakhuvudet. Kort medvetslöshet. Behandlas inte med antikoagulantia.",
        "Undersökt utan kontrast.\nIngen intrakraniell blödning. Normalvida ventriklar. Inga "
        "kontusionshärdar. Ingen fraktur i medavbildat skelett.",
        "Ingen traumatisk skada intrakraniellt.",
        4,
    ),
    Case(
        "aged",
        "Blödning? Infarkt?",
        "Fallit i hemmet, förvirrad sedan dess. Behandlas med Eliquis på grund av förmaksflimmer.",
        "Undersökt utan kontrast.\nIngen färsk blödning. Åldersmässigt vidgade fåror och ventriklar.\n"
        "Lågattenuerande vitsubstansförändringar periventrikulärt som vid småkärlssjuka.",
        "Ingen blödning. Åldersförändringar och småkärlssjuka.",
        3,
    ),
    Case(
        "infarct",
        "Stroke? Blödning?",
        "Vaknade med vänstersidig svaghet och sluddrigt tal. NIHSS 9. Blodtryck 178/95.",
        "Undersökt utan kontrast.\nIngen blödning. Lågattenuerande område i höger a. cerebri media-"
        "territorium med utsuddade fåror.",
        "Färsk ischemisk infarkt inom höger mediaområde. Strokejouren är informerad.",
        2,
    ),
    Case(
        "subdural",
        "Blödning?",
        "Tilltagande huvudvärk och ostadighet sedan två veckor. Fall på isen för en månad sedan. Waran.",
        "Undersökt utan kontrast.\nLängs vänster hemisfär en 9 mm bred, hyperdens vätskespalt med lätt "
        "överskjutning av medellinjen, 3 mm.",
        "Subduralhematom på vänster sida. Neurokirurgjour kontaktad.",
        1,
    ),
)

MR_BRAIN = (
    Case(
        "normal",
        "Expansivitet? MS?",
        "Återkommande huvudvärk och stickningar i höger arm. Neurologiskt status u.a.",
        "Undersökt med T1-, T2- och FLAIR-sekvenser.\nNormala signaler i grå och vit substans. Inga "
        "expansiviteter. Normalvida ventriklar. Inga restriktioner på diffusionsbilder.",
        "Normal MR-undersökning av hjärnan.",
        3,
    ),
    Case(
        "ms",
        "MS? Demyeliniserande sjukdom?",
        "Synnedsättning på vänster öga som gått i regress. Trötthet, domningar i benen.",
        "På T2 och FLAIR ses ett tiotal ovala, högsignalerande förändringar periventrikulärt, varav flera "
        "vinkelräta mot sidoventriklarna, samt en juxtakortikalt frontalt på höger sida.",
        "Vitsubstansförändringar som passar med demyeliniserande sjukdom.",
        1,
    ),
    Case(
        "meningioma",
        "Expansivitet?",
        "Nytillkommet epileptiskt anfall. Tidigare frisk.",
        "Längs konvexiteten frontalt på vänster sida finns en skarpt avgränsad, extraaxial expansivitet som "
        "mäter 24 x 18 mm. Lätt kompression av närliggande gyri, inget ödem.",
        "Meningeom frontalt på vänster sida.",
        1,
    ),
    Case(
        "aged",
        "Vaskulär demens? Hydrocefalus?",
        "Tilltagande minnessvårigheter sedan ett år. MMT 23/30. Hypertoni.",
        "Undersökt med T1-, T2- och FLAIR-sekvenser.\nLätt generell atrofi. Utbredda konfluerande "
        "vitsubstansförändringar, Fazekas grad 2. Ingen mesial temporallobsatrofi av betydelse. Inga färska "
        "infarkter.",
        "Småkärlssjuka, måttlig. Lätt generell atrofi.",
        2,
    ),
)

KNEE = (
    Case(
        "normal",
        "Skelettskada?",
        "Vridvåld mot knät vid fotboll. Svullnad, ömmar medialt. Kan belasta.",
        "Ingen fraktur. Normala ledspringor. Liten utgjutning i recessus suprapatellaris.",
        "Ingen skelettskada.",
        2,
    ),
    Case(
        "arthrosis",
        "Artros?",
        "Belastningssmärtor sedan flera år, startstelhet. Krepitationer. Ingen låsning.",
        "Påtagligt sänkt medial ledspringa med subkondral skleros och osteofyter. Lateralt normal ledspringa.\n"
        "Lätta femoropatellära förändringar.",
        "Måttlig medial gonartros.",
        3,
    ),
)

ABDOMEN_US = (
    Case(
        "gallstone",
        "Gallsten?",
        "Anfall av smärta under höger arcus efter fet mat. Lätt förhöjt ALP.",
        "I gallblåsan finns en 15 mm stor sten med slagskugga. Gallblåseväggen är tunn.\n"
        "Inga vidgade gallvägar. Lever, pankreas, njurar och mjälte utan anmärkning.",
        "Gallblåsesten. Inga tecken på kolecystit.",
        3,
    ),
    Case(
        "normal",
        "Gallsten? Leverförändring?",
        "Diffusa buksmärtor, lätt förhöjda leverprover.",
        "Lever, gallblåsa, gallvägar, pankreas, mjälte och njurar utan anmärkning. Ingen fri vätska.",
        "Normalt ultraljud av övre buken.",
        3,
    ),
    Case(
        "hydronephrosis",
        "Hydronefros?",
        "Flanksmärta på höger sida, mikroskopisk hematuri. Kreatinin 118.",
        "Måttlig vidgning av höger njurbäcken, 19 mm i AP-diameter. Vänster njure u.a.\nUrinblåsan u.a.",
        "Hydronefros på höger sida, sannolikt avflödeshinder. DT urinvägar rekommenderas.",
        1,
    ),
)

AORTA_US = (
    Case(
        "aorta",
        "Aneurysm?",
        "Screening för bukaortaaneurysm. Tidigare rökare.",
        "Bukaorta är jämnvid, största diameter 18 mm. God insyn.",
        "Inget bukaortaaneurysm.",
        3,
    ),
    Case(
        "aneurysm",
        "Aneurysm?",
        "Palpabel pulserande resistens i buken. Hypertoni. Fadern opererad för aortaaneurysm.",
        "Infrarenalt aneurysm i bukaorta med största diameter 46 mm (ytter-ytter). Väggfast tromb dorsalt.\n"
        "Bäckenartärerna är normalvida.",
        "Bukaortaaneurysm, 46 mm. Remiss till kärlkirurg rekommenderas. Kontroll inom 6 månader.",
        1,
    ),
)

MAMMOGRAPHY = (
    Case(
        "normal",
        "Hälsokontroll.",
        "Kallad till hälsoundersökning med mammografi. Inga symtom.",
        "Inga malignitetsmisstänkta förändringar.",
        "Kod 1, normala fynd.",
        4,
    ),
    Case(
        "mass",
        "Knöl i vänster bröst. Malignitet?",
        "Nyupptäckt knöl i vänster bröst, övre laterala kvadranten. Ingen hereditet.",
        "I vänster bröst en 14 mm stor spikulerad förtätning med mikroförkalkningar.",
        "Kod 5, malign förändring.",
        1,
    ),
)

ECHO = (
    Case(
        "normal",
        "Hjärtsvikt? Klaffel?",
        "Andfåddhet vid ansträngning. NT-proBNP 310. Sinusrytm.",
        "Normalstor vänsterkammare med normal väggtjocklek och normal systolisk funktion, EF 60 %.\n"
        "Inga regionala väggrörelsestörningar. Normala klaffar, obetydligt mitralisläckage.\n"
        "Normalt systoliskt lungartärtryck, 28 mmHg. Normalstora förmak.",
        "Normal systolisk och diastolisk vänsterkammarfunktion.",
        3,
    ),
    Case(
        "reduced",
        "Kontroll av vänsterkammarfunktion.",
        "Genomgången framväggsinfarkt. Behandlas för hjärtsvikt, NYHA III.",
        "Dilaterad vänsterkammare, 62 mm i diastole. Nedsatt systolisk funktion, EF 30 %, med akinesi i "
        "framvägg och apex.\nMåttligt mitralisläckage. Lätt förhöjt lungartärtryck, 42 mmHg.",
        "Dilaterad vänsterkammare med uttalat nedsatt systolisk funktion, EF 30 %.",
        2,
    ),
)

ECG = (
    Case(
        "sinus",
        "Arytmi? Ischemi?",
        "Hjärtklappning och tryckkänsla i bröstet. Blodtryck 146/88.",
        "Sinusrytm 68/min. PQ-tid 168 ms, QRS-tid 92 ms, QTc 418 ms. Normal elaxel. Inga ST-T-förändringar.",
        "Normalt vilo-EKG.",
        3,
    ),
    Case(
        "fibrillation",
        "Arytmi?",
        "Oregelbunden puls vid blodtryckskontroll. Trötthet.",
        "Förmaksflimmer med kammarfrekvens cirka 90/min. QRS-tid 96 ms. Ospecifika ST-förändringar.",
        "Förmaksflimmer.",
        2,
    ),
)

REAL_CHEST = (
    Case(
        "real",
        "Metastaser? Hjärtsvikt?",
        "Känd levermetastasering. Tilltagande andfåddhet sedan två veckor.",
        "Multipla, skarpt avgränsade rundhärdar bilateralt, de största cirka 3 cm, mest basalt.\n"
        "Ingen pleuravätska. Hjärtat är normalstort.",
        "Utbredda lungmetastaser.",
    ),
)

REAL_LEG = (
    Case(
        "real",
        "Skelettförändring?",
        "Smärta distalt i underbenet efter fall på lekplats. Ömmar över distala tibia.",
        "Ingen fraktur. Lateralt i distala tibia en skarpt avgränsad, skleroskantad uppklarning i kortikalis.",
        "Icke ossifierande fibrom i distala tibia, normalvariant. Ingen uppföljning behövs.",
    ),
)

REAL_SHOULDER = (
    Case(
        "real",
        "Rotatorcuffruptur?",
        "Skuldersmärta sedan ett halvår. Svårt att lyfta armen över axelhöjd. Sjukgymnastik utan effekt.",
        "Intakt supraspinatussena med lätt signalstegring. Lätt AC-ledsartros. Ingen ledvätska.",
        "Tendinos i supraspinatussenan. Ingen ruptur.",
    ),
)

REAL_LIVER = (
    Case(
        "real",
        "Leverförändring på ultraljud. Karaktär?",
        "Oklar förändring i högra leverloben som bifynd vid ultraljud.",
        "I höger leverlob en 6 cm stor expansivitet med ringformad uppladdning.\nNjurar och mjälte utan "
        "anmärkning. Ingen fri vätska.",
        "Expansivitet i höger leverlob, malignitetsmisstänkt. Biopsi rekommenderas.",
    ),
)

REAL_SPINE = (
    Case(
        "real",
        "Kotkompression?",
        "Akut ryggsmärta efter lyft. Känd osteoporos.",
        "Bibehållna kothöjder. Ingen fraktur i undersökt område. Normalvid spinalkanal.",
        "Ingen kotkompression.",
    ),
)

REAL_PERFUSION = (
    Case(
        "real",
        "Stroke? Penumbra?",
        "Plötslig svaghet i höger kroppshalva, debut för två timmar sedan.",
        "Perfusionskartor utan säkert perfusionsbortfall. Lätt utdragen transittid på vänster sida.",
        "Ingen stor perfusionsdefekt. Neurolog informerad.",
    ),
)

POINT_OF_CARE = (
    Case(
        "bladder",
        "Residualurin?",
        "Trängningar och svag stråle. Palpabelt förstorad prostata.",
        "Patientnära ultraljud utfört på mottagningen.\nUrinblåsan tömd: residualurin cirka 90 ml. Ingen "
        "hydronefros på någon sida.",
        "Residualurin 90 ml. Ny kontroll om tre månader. Bilder sparas inte.",
        2,
    ),
    Case(
        "leg",
        "Djup ventrombos?",
        "Svullen och öm vänster vad sedan fyra dagar. Wells 1 poäng, D-dimer 0,4.",
        "Patientnära ultraljud utfört på mottagningen.\nVena femoralis communis och vena poplitea på "
        "vänster sida är fullt kompressibla.",
        "Ingen proximal djup ventrombos. Bilder sparas inte.",
        2,
    ),
    Case(
        "pleura",
        "Pleuravätska?",
        "Hosta och avmagring sedan tre månader. Nedsatta andningsljud. Rökare, 40 paketår.",
        "Patientnära ultraljud utfört på mottagningen.\nIngen pleuravätska på någon sida. Lungglidning "
        "bilateralt. Enstaka B-linjer basalt.",
        "Ingen pleuravätska. Lungröntgen beställs på grund av den långvariga hostan. Bilder sparas inte.",
        1,
    ),
)
